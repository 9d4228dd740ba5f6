"""One memory, seen from both sides: a file of refwasm's mapped over the place where wasmtime keeps a memory.

wasmtime reserves address space for the whole of a shared memory, and makes more of it accessible when the memory grows.
A mapping over all of that place behaves the same, and its bytes are refwasm's. That leans on how wasmtime works inside,
so :func:`can_share` tries it before anybody relies on it. Where it fails, contents are copied in and out.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from typing import Any

from refwasm.host.parallel.devices.native import binding
from refwasm.syntax.types import PAGE_BITS

#: With this environment variable set to "copy", nothing is shared: for tests, and for those who don't trust it.
SWITCH = "REFWASM_NATIVE_MAPPING"
_NONE, _READ_WRITE, _SHARED, _FIXED = 0, 3, 0x01, 0x10

PROBE = """(module (import "" "memory" (memory 1 4 shared))
  (func (export "load") (param i64) (result i64) (i64.load (i32.wrap_i64 (local.get 0))))
  (func (export "store") (param i64) (result i64)
    (i64.store (i32.wrap_i64 (local.get 0)) (i64.const 0x1122334455667788)) (i64.const 0))
  (func (export "grow") (param i64) (result i64)
    (i64.extend_i32_u (memory.grow (i32.wrap_i64 (local.get 0))))))"""


def map_over(address: int, fd: int, offset: int, accessible: int, reserved: int) -> bool:
    """Map a file over the place of a wasmtime memory. Whether that went well; otherwise nothing has changed."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
    )  # fmt: skip
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if not reserved:
        return True
    if libc.mmap(address, reserved, _NONE, _SHARED | _FIXED, fd, offset) != address:
        return False
    return not accessible or libc.mprotect(address, accessible, _READ_WRITE) == 0


def can_share(engine: Any, probe: bytes) -> bool:
    """Whether a mapped file and a wasmtime memory are one thing: patterns written on one side are read on the other,
    also after growth, and what lies beyond still traps. ``probe`` is PROBE in the binary format."""
    if os.environ.get(SWITCH) == "copy" or not hasattr(os, "memfd_create"):
        return False
    page, pages = 1 << PAGE_BITS, 4
    fd = os.memfd_create("refwasm-probe", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, mmap.PAGESIZE + pages * page)
        ours = memoryview(mmap.mmap(fd, mmap.PAGESIZE + pages * page))[mmap.PAGESIZE :]
        memory = binding.make_shared_memory(engine, 1, pages)
        if not map_over(binding.address_of(memory), fd, mmap.PAGESIZE, page, pages * page):
            return False
        return _agrees(engine, probe, memory, ours)
    finally:
        os.close(fd)


def _agrees(engine: Any, probe: bytes, memory: Any, ours: memoryview) -> bool:
    api, page = binding.api(), 1 << PAGE_BITS
    store = api.Store(engine)
    exports = api.Instance(store, api.Module(engine, probe), [memory]).exports(store)
    load, keep, grow = (binding.Call(store, exports[name], 1, 1) for name in ("load", "store", "grow"))
    pattern = bytes(range(1, 9))
    ours[8:16] = pattern
    keep(page - 8)
    if load(8) != int.from_bytes(pattern, "little") or ours[page - 8] != 0x88 or not _traps(load, page):
        return False
    ours[2 * page - 8 : 2 * page] = pattern
    if grow(1) != 1 or load(2 * page - 8) != int.from_bytes(pattern, "little") or not _traps(load, 2 * page):
        return False
    keep(page)
    return ours[page] == 0x88


def _traps(load: binding.Call, address: int) -> bool:
    try:
        load(address)
    except binding.api().Trap:
        return True
    return False
