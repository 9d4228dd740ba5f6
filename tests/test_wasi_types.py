"""WASI's flags, enumerations and rights: what a type does not have is refused, everywhere."""

from __future__ import annotations

import os
from enum import IntFlag
from pathlib import Path

import pytest

from refwasm.host.wasi import MODULE, UNSTABLE
from refwasm.host.wasi.preview1 import PARTS, SIGNATURES
from refwasm.host.wasi.types import PARAMETER_TYPES, Errno, FdFlags, Rights
from tests.wasi_support import DATA, OUT, Caller, poll, subscription


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "f").write_bytes(b"0123456789")
    return tmp_path


#: Parameters of every function that are flags or enumerations, by what witx says: the bits or values there are.
UNKNOWN = [
    (name, parameter, unknown)
    for name, parameters in PARAMETER_TYPES.items()
    for parameter, kind in parameters.items()
    for unknown in (
        [1 << bit for bit in range(len(kind), 64 if kind is Rights else 32)] if issubclass(kind, IntFlag)
        else [len(kind), len(kind) + 1, 255, 256, (1 << 32) - 1]
    )
]  # fmt: skip


@pytest.mark.parametrize("module", [MODULE, UNSTABLE])
def test_what_a_type_does_not_have_is_refused_everywhere(box: Path, module: str) -> None:
    """Every function × parameter × undefined bit or value, alone and with a defined one; nothing changes."""
    c = Caller(box, module)
    assert len(UNKNOWN) > 400
    before = sorted(os.listdir(box)), os.stat(box / "f")
    for name, parameter, unknown in UNKNOWN:
        code = getattr(next(part for part, signatures in PARTS if name in signatures), name).__code__
        at = code.co_varnames[1 : code.co_argcount].index(parameter)
        for value in {unknown, unknown | 1}:
            args = [0] * SIGNATURES[name].split(" ->")[0].count("i")
            args[at] = value
            assert c.functions[name](*args) == Errno.INVAL, (name, parameter, hex(value))
    assert (sorted(os.listdir(box)), os.stat(box / "f")) == before
    for raw in (subscription(1, 3), subscription(1, 7), subscription(1, 0, flags=2), subscription(1, 0, flags=1 << 15)):
        if module == MODULE:
            c.memory.write(DATA, raw)
            assert c("poll_oneoff", DATA, DATA + 4096, 1, OUT) == Errno.INVAL


def test_every_parameter_that_is_a_flag_or_a_number_of_a_table_has_its_type() -> None:
    """The names that such parameters have, wherever they occur."""
    names = {"flags", "lookup", "oflags", "rights", "inheriting", "whence", "advice", "clock", "signal", "how"}
    for part, signatures in PARTS:
        for name in signatures:
            code = getattr(part, name).__code__
            found = names.intersection(code.co_varnames[1 : code.co_argcount])
            if name != "fd_fdstat_set_rights":  # adding any right, known or not, is NOTCAPABLE
                assert found == set(PARAMETER_TYPES.get(name, {})), name


def test_rights_can_only_be_given_up(box: Path) -> None:
    c = Caller(box)
    fd = c.open("f", rights=Rights.FD_READ | Rights.FD_WRITE)
    for bit in range(64):
        if 1 << bit not in (Rights.FD_READ, Rights.FD_WRITE):
            assert c("fd_fdstat_set_rights", fd, Rights.FD_READ | 1 << bit, 0) == Errno.NOTCAPABLE
            assert c("fd_fdstat_set_rights", fd, Rights.FD_READ, 1 << bit) == Errno.NOTCAPABLE
    assert c("fd_fdstat_get", fd, OUT) == 0 and c.u64(OUT + 8) == Rights.FD_READ | Rights.FD_WRITE
    assert c("fd_fdstat_set_rights", fd, Rights.FD_READ, 0) == 0
    assert c("fd_fdstat_set_rights", fd, Rights.FD_READ | Rights.FD_WRITE, 0) == Errno.NOTCAPABLE


def test_rights_that_imply_others(box: Path) -> None:
    c = Caller(box)
    fd = c.open("f", rights=Rights.FD_SEEK)
    assert c("fd_seek", fd, 3, 0, OUT) == 0 and c("fd_tell", fd, OUT) == 0 and c.u64() == 3
    assert c("fd_fdstat_set_rights", fd, Rights.FD_SEEK | Rights.FD_TELL, 0) == 0, "it was there"
    fd = c.open("f", rights=Rights.FD_TELL)
    assert c("fd_tell", fd, OUT) == 0 and c("fd_seek", fd, 3, 0, OUT) == Errno.NOTCAPABLE
    assert c.open("f", flags=FdFlags.SYNC) > 3
    kept = Rights.PATH_OPEN
    assert c("fd_fdstat_set_rights", 3, kept, Rights.FD_READ | Rights.FD_DATASYNC) == 0
    assert c.open("f", rights=Rights.FD_READ, flags=FdFlags.DSYNC) > 3
    assert c.open("f", rights=Rights.FD_READ, flags=FdFlags.SYNC) == -Errno.NOTCAPABLE


def test_poll_tells_how_much_can_be_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"12345")
    c = Caller(stdin=reading)
    assert poll(c, subscription(1, 1)) == [(1, 0, 1)] and c.u64(DATA + 4096 + 16) == 5
    os.close(writing)
    os.read(reading, 5)
    assert poll(c, subscription(1, 1)) == [(1, 0, 1)] and c.u64(DATA + 4096 + 16) == 0
    os.close(reading)
