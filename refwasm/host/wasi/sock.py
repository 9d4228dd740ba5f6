"""Sockets that the host has opened (``sock_*``). BADF: not open; NOTSOCK: no socket; NOTCAPABLE: a right is missing."""

from __future__ import annotations

import select
import socket

from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import Descriptor
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Errno, FdFlags, RiFlags, Rights, SdFlags, WasiError

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

    def _socket(self, number: int, right: int) -> tuple[Descriptor, socket.socket]:
        """The descriptor, and a socket object over it that does not own it (:meth:`socket.socket.detach` it)."""
        found = self.system.descriptors.get(number)
        if found.type not in (w.FileType.SOCKET_STREAM, w.FileType.SOCKET_DGRAM):
            raise WasiError(Errno.NOTSOCK)
        return self.system.descriptors.get(number, right), socket.socket(fileno=found.fd)

    def sock_accept(self, fd: int, flags: int, fd_out: int) -> None:
        """Take a connection of a listening socket; its descriptor (u32), with flags, at ``fd_out``. AGAIN: nonblocking,
        and there is none."""
        self.guest.check(fd_out, 4)
        if flags & ~FdFlags.NONBLOCK:
            raise WasiError(Errno.INVAL)
        listening, host = self._socket(fd, Rights.SOCK_ACCEPT)
        try:
            listening.wait(select.POLLIN, self.system.pause)
            connection, _ = host.accept()
        finally:
            host.detach()
        made = Descriptor(connection.detach(), listening.inheriting, 0, flags)
        self.guest.write_u32(fd_out, self.system.descriptors.add(made))

    def sock_recv(self, fd: int, vectors: int, count: int, flags: int, size_out: int, flags_out: int) -> None:
        """Receive into buffers; bytes (u32) at ``size_out``, flags (u16) at ``flags_out``: 1 if a message was cut.

        Flags: peek, wait for all of it.
        """
        self.guest.check(size_out, 4)
        self.guest.check(flags_out, 2)
        source, host = self._socket(fd, Rights.FD_READ)
        mode = (socket.MSG_PEEK if flags & RiFlags.PEEK else 0) | (socket.MSG_WAITALL if flags & RiFlags.WAITALL else 0)
        try:
            buffers = self.system.vectors(vectors, count)
            source.wait(select.POLLIN, self.system.pause)
            size, _, got, _ = host.recvmsg_into(buffers, 0, mode)
        finally:
            host.detach()
        self.guest.write_u32(size_out, size)
        self.guest.memory.store(2, flags_out, int(bool(got & socket.MSG_TRUNC)))

    def sock_send(self, fd: int, vectors: int, count: int, flags: int, size_out: int) -> None:
        """Send buffers; bytes that were taken (u32) at ``size_out``. INVAL: flags, of which there are none."""
        self.guest.check(size_out, 4)
        if flags:
            raise WasiError(Errno.INVAL)
        target, host = self._socket(fd, Rights.FD_WRITE)
        try:
            buffers = self.system.vectors(vectors, count)
            target.wait(select.POLLOUT, self.system.pause)
            self.guest.write_u32(size_out, host.sendmsg(buffers, [], socket.MSG_NOSIGNAL))
        finally:
            host.detach()

    def sock_shutdown(self, fd: int, how: int) -> None:
        """End receiving (1), sending (2) or both (3). INVAL: neither."""
        _, host = self._socket(fd, Rights.SOCK_SHUTDOWN)
        try:
            if how not in (SdFlags.RD, SdFlags.WR, SdFlags.RD | SdFlags.WR):
                raise WasiError(Errno.INVAL)
            host.shutdown({1: socket.SHUT_RD, 2: socket.SHUT_WR, 3: socket.SHUT_RDWR}[how])
        finally:
            host.detach()
