"""Waiting for clocks and descriptors (``poll_oneoff``)."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
import termios
import time
from contextlib import ExitStack
from typing import NamedTuple

from refwasm.host.wasi import types as w
from refwasm.host.wasi.descriptors import MAX_DESCRIPTORS, Descriptor
from refwasm.host.wasi.system import System
from refwasm.host.wasi.types import Clock, Errno, EventType, Rights, SubClockFlags, WasiError

SIGNATURES = {"poll_oneoff": "i32 i32 i32 i32 -> i32"}

#: Longest sleep, in seconds: more than the system's clocks can hold is asked for by mistake.
MAX_SLEEP = 1e6
#: Subscriptions of one call: one to read and one to write for each descriptor that a guest can have.
MAX_SUBSCRIPTIONS = 2 * MAX_DESCRIPTORS
_HOST_EVENT = {EventType.FD_READ: select.POLLIN, EventType.FD_WRITE: select.POLLOUT}


class Layout(NamedTuple):
    """Where the fields of a subscription are."""

    size: int
    clock: int
    timeout: int
    flags: int


LAYOUT = Layout(48, 16, 24, 40)


class Event(NamedTuple):
    """What happened: the subscription's user data, an error, its type, bytes that can be had, flags."""

    user_data: bytes
    error: int
    type: int
    size: int = 0
    flags: int = 0

    def encoded(self) -> bytes:
        head = self.user_data + int(self.error).to_bytes(2, "little") + bytes([self.type]) + bytes(5)
        return head + self.size.to_bytes(8, "little") + self.flags.to_bytes(2, "little") + bytes(6)


class _Watched(NamedTuple):
    user_data: bytes
    type: int
    descriptor: Descriptor


class Poll:
    """The function."""

    def __init__(self, system: System, layout: Layout = LAYOUT) -> None:
        self.system = system
        self.guest = system.guest
        self.layout = layout
        self.began: float | None = None  # when the call in hand was made first, while it is being made again

    def poll_oneoff(self, subscriptions: int, events_out: int, count: int, count_out: int) -> None:
        """Wait for the first of ``count`` subscriptions; the events that happened, and their number (u32).

        A subscription has 48 bytes: user data (u64), type (u8 at 8), then for clocks the id (u32 at 16), time-out
        (u64 at 24), flags (u16 at 40), for descriptors the descriptor (u32 at 16). An event has 32: user data (u64),
        error (u16 at 8), type (u8 at 10), for descriptors the bytes to be had (u64 at 16) and flags (u16 at 24: the
        other side hung up). A subscription that is wrong is an event with its error. INVAL: no subscriptions, more than
        MAX_SUBSCRIPTIONS, or one of an unknown type or with unknown flags.
        """
        if not 0 < count <= MAX_SUBSCRIPTIONS:
            raise WasiError(Errno.INVAL)
        size = self.layout.size
        self.guest.check(subscriptions, size * count)
        self.guest.check(events_out, 32 * count)
        self.guest.check(count_out, 4)
        raw = self.guest.memory.read(subscriptions, size * count)
        events = self._poll([raw[i : i + size] for i in range(0, len(raw), size)])
        self.guest.memory.write(events_out, b"".join(event.encoded() for event in events))
        self.guest.write_u32(count_out, len(events))

    def _poll(self, subscriptions: list[bytes]) -> list[Event]:
        with ExitStack() as used:
            return self._poll_with(used, subscriptions)

    def _poll_with(self, used: ExitStack, subscriptions: list[bytes]) -> list[Event]:
        events: list[Event] = []
        clocks: list[tuple[float, bytes]] = []
        watched: list[_Watched] = []
        now = time.monotonic()
        if self.system.yields:
            self.began = now = now if self.began is None else self.began
        for raw in subscriptions:
            self._check(raw)
        for raw in subscriptions:
            user_data, kind = raw[:8], raw[8]
            try:
                if kind == EventType.CLOCK:
                    clocks.append((self._due(raw, now), user_data))
                else:
                    watched.append(_Watched(user_data, kind, self._descriptor(used, raw, kind)))
            except WasiError as error:
                events.append(Event(user_data, error.errno, kind))
        events += self._first(watched, clocks, waits=not events)
        self.began = None
        return events

    def _first(self, watched: list[_Watched], clocks: list[tuple[float, bytes]], waits: bool) -> list[Event]:
        """What happens first: events of descriptors and clocks that are due; with ``waits`` at least one."""
        seconds = 0.0
        while True:
            events = self._ready(watched, seconds)
            now = time.monotonic()
            events += [Event(data, Errno.SUCCESS, EventType.CLOCK) for due, data in clocks if due <= now]
            if events or not waits:
                return events
            first = min((due for due, _ in clocks), default=now + MAX_SLEEP)
            seconds = min(self.system.pause(), first - now)

    def _due(self, raw: bytes, began: float) -> float:
        """When a clock subscription is due (``time.monotonic``), at most what a host can sleep from now on."""
        at = self.layout
        clock = int.from_bytes(raw[at.clock : at.clock + 4], "little")
        look = self.system.clock(clock)
        if clock not in (Clock.REALTIME, Clock.MONOTONIC):
            raise WasiError(Errno.NOTSUP)
        nanoseconds = int.from_bytes(raw[at.timeout : at.timeout + 8], "little")
        if self._flags(raw) & SubClockFlags.ABSTIME:
            nanoseconds -= look()
            began = time.monotonic()
        return began + min(max(nanoseconds, 0) / 1e9, MAX_SLEEP)

    def _flags(self, raw: bytes) -> int:
        at = self.layout.flags
        return int.from_bytes(raw[at : at + 2], "little")

    def _check(self, raw: bytes) -> None:
        """INVAL: the event of a subscription could not say what it is about."""
        if not w.is_member(EventType, raw[8]):
            raise WasiError(Errno.INVAL)
        if raw[8] == EventType.CLOCK and not w.is_member(SubClockFlags, self._flags(raw)):
            raise WasiError(Errno.INVAL)

    def _descriptor(self, used: ExitStack, raw: bytes, kind: int) -> Descriptor:
        number = int.from_bytes(raw[16:20], "little")
        right = Rights.FD_READ if kind == EventType.FD_READ else Rights.FD_WRITE
        found = used.enter_context(self.system.descriptors.using(number, Rights.POLL_FD_READWRITE))
        if not found.rights & right:
            raise WasiError(Errno.BADF)
        try:
            os.fstat(found.fd)
        except OSError:
            raise WasiError(Errno.BADF) from None
        return found

    def _ready(self, watched: list[_Watched], seconds: float) -> list[Event]:
        """Events of descriptors, after waiting at most so long for one."""
        poller = select.poll()
        masks: dict[int, int] = {}
        for item in watched:
            masks[item.descriptor.fd] = masks.get(item.descriptor.fd, 0) | _HOST_EVENT[EventType(item.type)]
        for fd, mask in masks.items():
            poller.register(fd, mask)
        if not masks and seconds == 0:
            return []
        found = dict(poller.poll(-(-seconds * 1000 // 1)))
        return [
            self._event(item, found[item.descriptor.fd])
            for item in watched
            if found.get(item.descriptor.fd, 0) & (_HOST_EVENT[EventType(item.type)] | select.POLLHUP | select.POLLERR)
        ]

    def _event(self, item: _Watched, happened: int) -> Event:
        flags = w.READWRITE_HANGUP if happened & select.POLLHUP else 0
        return Event(item.user_data, Errno.SUCCESS, item.type, _available(item), flags)


def _available(item: _Watched) -> int:
    """Bytes that can be read at once: what is left of a regular file, what is there in a pipe or socket."""
    if item.type != EventType.FD_READ:
        return 0
    found = os.fstat(item.descriptor.fd)
    if stat.S_ISREG(found.st_mode):
        return max(found.st_size - os.lseek(item.descriptor.fd, 0, os.SEEK_CUR), 0)
    try:
        return int.from_bytes(fcntl.ioctl(item.descriptor.fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:  # a listening socket: a connection can be had
        return 1
