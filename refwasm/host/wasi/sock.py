"""Sockets that the host has opened (``sock_*``). BADF: not open; NOTSOCK: no socket; NOTCAPABLE: a right is missing."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import Descriptor
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Errno, FdFlags, RiFlags, Rights, WasiError

SIGNATURES = {
    "sock_accept": "i32 i32 i32 -> i32",
    "sock_recv": "i32 i32 i32 i32 i32 i32 -> i32",
    "sock_send": "i32 i32 i32 i32 i32 -> i32",
    "sock_shutdown": "i32 i32 -> i32",
}


class Sock:
    """The functions."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.guest = system.guest

    @contextmanager
    def _socket(self, number: int, right: int) -> Iterator[tuple[Descriptor, socket.socket]]:
        """The descriptor, and a socket object over it that does not own it."""
        with self.system.descriptors.using(number) as found:
            if found.type not in (w.FileType.SOCKET_STREAM, w.FileType.SOCKET_DGRAM):
                raise WasiError(Errno.NOTSOCK)
            self.system.descriptors.get(number, right)
            host = socket.socket(fileno=found.fd)
            try:
                yield found, host
            finally:
                host.detach()

    def sock_accept(self, fd: int, flags: int, fd_out: int) -> None:
        """Take a connection of a listening socket; its descriptor (u32), with flags, at ``fd_out``. AGAIN: nonblocking,
        and there is none."""
        self.guest.check(fd_out, 4)
        if flags & ~int(FdFlags.NONBLOCK):
            raise WasiError(Errno.INVAL)
        with self._socket(fd, Rights.SOCK_ACCEPT) as (listening, host):
            listening.wait(select.POLLIN, self.system.pause)
            connection, _ = host.accept()
            made = Descriptor(connection.detach(), listening.inheriting, 0, flags)
        self.guest.write_u32(fd_out, self.system.descriptors.add(made))

    def sock_recv(self, fd: int, vectors: int, count: int, flags: int, size_out: int, flags_out: int) -> None:
        """Receive into buffers; bytes (u32) at ``size_out``, flags (u16) at ``flags_out``: 1 if a message was cut.

        Flags: peek, wait for all of it.
        """
        self.guest.check(size_out, 4)
        self.guest.check(flags_out, 2)
        peek = socket.MSG_PEEK if flags & RiFlags.PEEK else 0
        with self._socket(fd, Rights.FD_READ) as (source, host):
            buffers = [view for view in self.system.vectors(vectors, count) if view]
            size = got = 0
            while buffers:
                source.wait(select.POLLIN, self.system.pause)
                received, _, got, _ = host.recvmsg_into(buffers, 0, peek | socket.MSG_DONTWAIT)
                size += received
                if not received or peek or not flags & RiFlags.WAITALL:
                    break
                buffers = _behind(buffers, received)
        self.guest.write_u32(size_out, size)
        self.guest.memory.store(2, flags_out, int(bool(got & socket.MSG_TRUNC)))

    def sock_send(self, fd: int, vectors: int, count: int, flags: int, size_out: int) -> None:
        """Send buffers; bytes that were taken (u32) at ``size_out``. INVAL: flags, of which there are none."""
        self.guest.check(size_out, 4)
        with self._socket(fd, Rights.FD_WRITE) as (target, host):
            buffers = self.system.vectors(vectors, count)
            target.wait(select.POLLOUT, self.system.pause)
            size = host.sendmsg(buffers, [], socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        self.guest.write_u32(size_out, size)

    def sock_shutdown(self, fd: int, how: int) -> None:
        """End receiving (1), sending (2) or both (3). INVAL: neither."""
        with self._socket(fd, Rights.SOCK_SHUTDOWN) as (_, host):
            if not how:
                raise WasiError(Errno.INVAL)
            host.shutdown({1: socket.SHUT_RD, 2: socket.SHUT_WR, 3: socket.SHUT_RDWR}[how])


def _behind(buffers: list[memoryview], size: int) -> list[memoryview]:
    """What is left of buffers when so many bytes have been filled."""
    while buffers and size >= len(buffers[0]):
        size -= len(buffers[0])
        buffers = buffers[1:]
    return [buffers[0][size:], *buffers[1:]] if buffers else []
