"""What the system can do that Python runs on.

In a browser (Pyodide), Python is itself a WebAssembly program: there are no processes, no threads and no signals, and
memory that is reserved is taken at once. All of refwasm that executes WebAssembly works there; devices with workers,
engines and compilers do not.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

#: Whether Python runs in a WebAssembly engine.
IN_WEBASSEMBLY = sys.platform in ("emscripten", "wasi")
#: Whether processes can be started, and share memory and semaphores with this one.
HAS_PROCESSES = not IN_WEBASSEMBLY and find_spec("_multiprocessing") is not None
#: Bytes of address space that a memory reserves where reserved pages are taken at once; None: as many as it may have.
RESERVED: int | None = 64 << 20 if IN_WEBASSEMBLY else None
#: Python's frames at most, where each takes of the stack of a WebAssembly engine when it goes; None: as settings say.
FRAMES: int | None = 3_000 if IN_WEBASSEMBLY else None
