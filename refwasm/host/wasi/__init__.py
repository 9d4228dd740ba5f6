"""WASI: the system interface that guests written in C and Rust expect."""

from refwasm.host.wasi.preview1 import Preview1

__all__ = ["Preview1"]
