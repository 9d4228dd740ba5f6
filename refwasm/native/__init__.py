"""wasi-parallel for programs that run in wasmtime (extra ``native``).

:func:`link_parallel` adds ``wasi_ephemeral_parallel`` to an ordinary ``wasmtime.Linker``; :class:`NativeProgram` is a
whole program with WASI and wasi-parallel, as ``refwasm run --engine wasmtime`` runs it. Kernels run on the device
``native`` unless another one is asked for. All rules of ``docs/semantics.md`` hold.
"""

from refwasm.native.linking import Linked, link_parallel
from refwasm.native.program import NativeProgram

__all__ = ["Linked", "NativeProgram", "link_parallel"]
