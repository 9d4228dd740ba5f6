"""``python -m refwasm``."""

from refwasm.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
