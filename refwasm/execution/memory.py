"""Linear memories (specification 4.2.10), private and shared.

Address space is reserved for the declared maximum when a memory is made; pages come when touched. So growing moves
nothing, and a view taken before stays valid. What bounds accesses is the size of the *views*: ``u8`` and, for each
alignment of an address, ``u16[a & 1][a >> 1]``, ``u32[a & 3][a >> 2]``, ``u64[a & 7][a >> 3]``. An IndexError is
exactly an access out of bounds.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any, Literal
from weakref import WeakSet

from refwasm.errors import ResourceLimit, Trap
from refwasm.host_system import HAS_PROCESSES, RESERVED
from refwasm.syntax.types import PAGE_BITS, Limits, MemType

PAGE = 1 << PAGE_BITS
#: Bytes that a memory may have, by the width of its addresses. So much address space is reserved at most.
MAX_BYTES = {32: 1 << 32, 64: 1 << 36}

#: Only touched pages count: otherwise a process with several memories could not be forked. Python 3.13 knows the name.
_MACHINES = ("x86_64", "aarch64", "i686", "armv7l", "riscv64")
NO_RESERVE: int = getattr(
    mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" and os.uname().machine in _MACHINES else 0
)
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE

Views = tuple["memoryview", ...]


def _views(data: memoryview, width: int, code: Literal["H", "I", "Q"]) -> Views:
    """Casts of ``data`` that start at each alignment."""
    size = len(data)
    return tuple(data[k : k + max(size - k, 0) // width * width].cast(code) for k in range(width))


class Memory:
    """A private memory of ``pages`` pages, of ``page`` bytes each.

    ``limit`` is the largest size that growing may reach, in pages: the declared maximum, or what the settings allow
    (``max_pages``, of 64 KiB).
    """

    shared = False

    __slots__ = ("type", "page", "pages", "limit", "mapping", "u8", "u16", "u32", "u64", "listeners", "__weakref__")

    def __init__(self, t: MemType, max_pages: int | None = None) -> None:
        self.type = t
        self.listeners: WeakSet[Any] = WeakSet()  # who keeps views of their own, and renews them
        self.page = 1 << t.page_bits
        most = min(MAX_BYTES[t.address.bits] >> t.page_bits, (1 << t.address.bits) - 1)
        maximum = most if t.limits.maximum is None else min(t.limits.maximum, most)
        self.limit = maximum if max_pages is None else min(maximum, max_pages * PAGE >> t.page_bits)
        if t.limits.minimum > self.limit:
            raise ResourceLimit(f"memory of {t.limits.minimum} pages: at most {self.limit} are allowed")
        self.mapping = self._reserve()
        self.pages = t.limits.minimum
        self._make_views()

    def _reserve(self) -> memoryview:
        """Address space for ``limit`` pages, less if the system refuses so much."""
        self._stay_small()
        while self.limit:
            try:
                return memoryview(mmap.mmap(-1, self.limit * self.page, flags=_ANONYMOUS))
            except (OSError, OverflowError, MemoryError) as error:
                if self.limit == self.type.limits.minimum:
                    raise ResourceLimit(f"memory of {self.limit} pages can't be had: {error}") from None
                self.limit = max(self.type.limits.minimum, self.limit // 2)
        return memoryview(bytearray())

    def _stay_small(self) -> None:
        """Where reserved pages are taken at once, a memory can grow to a small size only."""
        if RESERVED is not None:
            self.limit = min(self.limit, max(self.type.limits.minimum, RESERVED // self.page))

    def _make_views(self) -> None:
        data = self.mapping[: self.pages * self.page]
        self.u8 = data
        self.u16 = _views(data, 2, "H")
        self.u32 = _views(data, 4, "I")
        self.u64 = _views(data, 8, "Q")
        for listener in self.listeners:
            listener.renew()

    def current_type(self) -> MemType:
        """The type with the present size as its minimum, for import matching."""
        return MemType(self.type.address, Limits(self.size(), self.type.limits.maximum), self.type.shared,
                       self.type.page_bits)  # fmt: skip

    def size(self) -> int:
        """Present size in pages."""
        return self.pages

    def grow(self, delta: int) -> int:
        """Grow by ``delta`` pages; the old size, or -1 if that is not possible (4.6.10 "Growing memories")."""
        old = self.pages
        if delta and old + delta > self.limit:
            return -1
        if delta:
            self.pages = old + delta
            self._make_views()
        return old

    def clear(self) -> None:
        """All zeros, as it was at first."""
        self.u8[:] = bytes(len(self.u8))

    def restore(self, content: bytes) -> None:
        """Go back to earlier contents and their size; what was beyond is zero when the memory grows again."""
        self.clear()
        self.pages = len(content) // self.page
        self._make_views()
        self.u8[:] = content

    def refresh(self) -> bool:
        """Notice that another process has grown the memory; whether it has."""
        return False

    def check(self, address: int, size: int) -> None:
        """Trap unless ``size`` bytes at ``address`` are in bounds."""
        if address + size > len(self.u8) and not (self.refresh() and address + size <= len(self.u8)):
            raise Trap("out of bounds memory access")

    def read(self, address: int, size: int) -> bytes:
        """A copy of that many bytes; traps if out of bounds."""
        self.check(address, size)
        return bytes(self.u8[address : address + size])

    def write(self, address: int, data: bytes | memoryview) -> None:
        """Store bytes; traps, before storing any, if out of bounds."""
        self.check(address, len(data))
        self.u8[address : address + len(data)] = data

    def load(self, width: int, address: int) -> int:
        """An unsigned little-endian integer of 1, 2, 4 or 8 bytes."""
        return int.from_bytes(self.read(address, width), "little")

    def store(self, width: int, address: int, value: int) -> None:
        """Store a little-endian integer of 1, 2, 4 or 8 bytes."""
        self.write(address, value.to_bytes(width, "little"))


class SharedMemory(Memory):
    """A shared memory (threads proposal): one mapping that several processes see.

    The file behind it starts with a header page: the size in pages, guarded by the domain's lock, and a number that
    identifies the memory to waiters. ``domain`` serializes atomic operations, see :mod:`refwasm.execution.domain`.
    """

    shared = True

    __slots__ = ("domain", "fd", "header", "identity")

    HEADER = mmap.PAGESIZE

    def __init__(self, t: MemType, domain: Any, max_pages: int | None = None, fd: int | None = None) -> None:
        self.domain = domain
        self.fd = -1 if fd is None else fd
        super().__init__(t, max_pages)
        if fd is None:
            self.header[0] = self.pages
            self.header[1] = domain.new_identity()
        self.identity = self.header[1]
        self.refresh()

    def __reduce__(self) -> tuple[Any, ...]:
        """For a process that is being started: the same mapping."""
        from multiprocessing.reduction import DupFd

        return _mapped, (self.type, self.domain, DupFd(self.fd))

    def _reserve(self) -> memoryview:
        self._stay_small()
        size = self.HEADER + self.limit * self.page
        try:
            mapping = self._mapping(size)
            self.limit = (len(mapping) - self.HEADER) // self.page
        except (OSError, OverflowError, ValueError) as error:
            raise ResourceLimit(f"shared memory of {self.limit} pages can't be had: {error}") from None
        self.header = mapping[: self.HEADER].cast("Q")
        return mapping[self.HEADER :]

    def _mapping(self, size: int) -> memoryview:
        """That many bytes, which other processes can map too; if ``fd`` was made elsewhere, its size decides."""
        if not HAS_PROCESSES:
            return memoryview(mmap.mmap(-1, size, flags=_ANONYMOUS))
        if self.fd < 0:
            self.fd = shared_file(size)
        else:
            size = os.fstat(self.fd).st_size
        return memoryview(mmap.mmap(self.fd, size))

    def close_fd(self) -> None:
        """Give up the descriptor; the mapping stays. The memory can't be shared with further processes then."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            self.close_fd()

    def size(self) -> int:
        self.refresh()
        return self.pages

    def clear(self) -> None:
        """As for private memories; where the system can, the contents are given back to it."""
        if not self.pages:
            return
        try:
            self.u8.obj.madvise(mmap.MADV_REMOVE, self.HEADER, len(self.u8))  # type: ignore[attr-defined]
        except (AttributeError, OSError):
            super().clear()

    def restore(self, content: bytes) -> None:
        """As for private memories; nobody else may be using it."""
        self.header[0] = len(content) // self.page
        super().restore(content)

    def refresh(self) -> bool:
        if self.header[0] == self.pages:
            return False
        self.pages = self.header[0]
        self._make_views()
        return True

    def grow(self, delta: int) -> int:
        """Grow, seen by all processes."""
        self.domain.acquire()
        try:
            self.refresh()
            old = super().grow(delta)
            self.header[0] = self.pages
            return old
        finally:
            self.domain.release()


def _mapped(t: MemType, domain: Any, fd: Any) -> SharedMemory:
    return SharedMemory(t, domain, fd=fd.detach())


def shared_file(size: int) -> int:
    """A descriptor of an anonymous file of that size, all zeros, that takes memory only where written.

    A memfd where there is one: it is not bounded by the size of /dev/shm and has no name to leave behind.
    """
    if sys.platform == "linux":
        fd = os.memfd_create("refwasm", os.MFD_CLOEXEC)
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        os.close(fd)
        raise ResourceLimit(f"shared memory of {size} bytes can't be had: {error}") from None
    return fd
