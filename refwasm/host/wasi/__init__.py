"""WASI: the system interface that guests written in C and Rust expect."""

from refwasm.host.wasi.preview1 import MODULE, UNSTABLE, exports, functions
from refwasm.host.wasi.system import System, WasiOptions

__all__ = ["MODULE", "UNSTABLE", "System", "WasiOptions", "exports", "functions"]
