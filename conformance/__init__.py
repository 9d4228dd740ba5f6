"""Is any engine wasi-parallel? Cases, a runner, adapters: see README.md beside this file."""
