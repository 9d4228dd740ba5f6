"""Nothing leads out of a preopened directory: every function that takes a path, with every way out we know of."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refwasm.host.wasi.types import Errno, Rights
from tests.wasi_support import CREAT, DATA, DIRECTORY, FOLLOW, OUT, TRUNC, Caller

SECRET = b"nobody may read this"
#: Paths that lead to ``outside/secret`` (a file) or to its directory, if anything lets them.
WAYS = (
    "../outside/secret", "a/../../outside/secret", "a/b/../../../outside/secret", "./../outside/secret",
    "a/./b/.././../../outside/secret", "../box/../outside/secret", "a//..//..//outside/secret",
    "ABSOLUTE/outside/secret", "//ABSOLUTE/outside/secret", "to_outside/secret", "to_absolute/secret",
    "a/up/outside/secret", "chain/secret", "a/b/far/secret", "to_self/../../outside/secret", "secret_link",
    "secret_absolute", "to_outside/./secret", "to_outside/../outside/secret", "a/up/box/../outside/secret", "..",
    "../", "../..", "a/../..", "to_outside", "to_outside/", "to_outside/.", "to_absolute/", "a/up", "a/up/",
    "chain/", "/", "/etc/passwd", "proc_link/root/etc/passwd",
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """``box`` is preopened, ``outside`` is what must not be reached."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    (tmp_path / "outside" / "empty").mkdir()
    box = tmp_path / "box"
    (box / "a" / "b").mkdir(parents=True)
    (box / "file").write_bytes(b"inside")
    (box / "to_outside").symlink_to("../outside")
    (box / "to_absolute").symlink_to(tmp_path / "outside")
    (box / "a" / "up").symlink_to("../..")
    (box / "chain").symlink_to("a/b/far")
    (box / "a" / "b" / "far").symlink_to("../../to_outside")
    (box / "to_self").symlink_to(".")
    (box / "secret_link").symlink_to("../outside/secret")
    (box / "secret_absolute").symlink_to(tmp_path / "outside" / "secret")
    (box / "proc_link").symlink_to("/proc/self")
    return tmp_path


def snapshot(folder: Path) -> dict[str, object]:
    """Everything that could change."""
    found: dict[str, object] = {}
    for path in [folder, *folder.rglob("*")]:
        state = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (state.st_mode, state.st_mtime_ns, state.st_nlink, content)
    return found


Attempt = Callable[[Caller, str], int]
ATTEMPTS: dict[str, Attempt] = {
    "open": lambda c, p: min(c.open(p), 0),
    "open for writing": lambda c, p: min(c.open(p, TRUNC), 0),
    "create": lambda c, p: min(c.open(p + "-new", CREAT), 0),
    "create directory": lambda c, p: c("path_create_directory", 3, p.rstrip("/") + "-new"),
    "stat": lambda c, p: c("path_filestat_get", 3, FOLLOW, p, OUT),
    "times": lambda c, p: c("path_filestat_set_times", 3, FOLLOW, p, 1, 1, 5),
    "link from": lambda c, p: c("path_link", 3, 0, p, 3, "stolen"),
    "link from, following": lambda c, p: c("path_link", 3, FOLLOW, p, 3, "stolen"),
    "link to": lambda c, p: c("path_link", 3, 0, "file", 3, p.rstrip("/") + "-new"),
    "remove directory": lambda c, p: c("path_remove_directory", 3, p),
    "remove empty": lambda c, p: c("path_remove_directory", 3, p.replace("secret", "empty")),
    "rename from": lambda c, p: c("path_rename", 3, p, 3, "stolen"),
    "rename to": lambda c, p: c("path_rename", 3, "file", 3, p.rstrip("/") + "-new"),
    "symlink": lambda c, p: c("path_symlink", "x", 3, p.rstrip("/") + "-new"),
    "unlink": lambda c, p: c("path_unlink_file", 3, p),
    "readlink": lambda c, p: c("path_readlink", 3, p, DATA, 100, OUT),
}


def inodes(folder: Path) -> set[int]:
    return {path.lstat().st_ino for path in [folder, folder.parent, *folder.rglob("*")]}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_escapes(world: Path, attempt: str, way: str) -> None:
    """What matters is the effect: nothing outside changes, and nothing that was reached lies outside. (Success is right
    where the name itself is what was meant, such as a link that is removed or renamed.)"""
    box, outside = world / "box", world / "outside"
    before, forbidden = snapshot(outside), inodes(outside)
    caller = Caller(box)
    caller.memory.write(OUT, bytes(64))
    error = ATTEMPTS[attempt](caller, way.replace("ABSOLUTE", str(world)))
    assert snapshot(outside) == before
    for descriptor in caller.system.descriptors.table.values():
        assert descriptor.is_stream or os.fstat(descriptor.fd).st_ino not in forbidden
    if attempt == "stat" and error == 0:
        assert caller.u64(OUT + 8) not in forbidden
    if attempt == "readlink":
        assert error != 0 or os.path.islink(box / way), "it reads links only"
    stolen = box / "stolen"
    if os.path.lexists(stolen):
        assert stolen.lstat().st_ino not in forbidden
    caller.system.descriptors.close_all()


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith(("/", "ABS"))])
def test_links_that_a_guest_makes_itself_do_not_lead_out(world: Path, way: str) -> None:
    caller = Caller(world / "box")
    if caller("path_symlink", way, 3, "mine") == 0:
        fd = caller.open("mine")
        assert fd < 0, way
        fd = caller.open("mine/secret")
        assert fd < 0, way
    assert caller("path_symlink", str(world / "outside"), 3, "absolute") == Errno.PERM


def test_a_directory_descriptor_that_was_moved_out_of_reach_leads_nowhere_new(world: Path) -> None:
    caller = Caller(world / "box")
    deep = caller.open("a/b", DIRECTORY, rights=Rights.PATH_OPEN)
    assert deep > 3
    (world / "box" / "a" / "b").rename(world / "outside" / "b")
    assert caller("path_open", deep, FOLLOW, "../secret", 0, 2, 2, 0, OUT) == Errno.PERM
    assert caller("path_open", deep, FOLLOW, "..", 0, 2, 2, 0, OUT) == Errno.PERM


def test_names_are_checked(world: Path) -> None:
    caller = Caller(world / "box")
    wrong = {
        b"": Errno.NOENT,
        b"a\0b": Errno.INVAL,
        b"\xff\xfe": Errno.ILSEQ,
        b"x" * 300: Errno.NAMETOOLONG,
        b"a/" * 3000: Errno.NAMETOOLONG,
        b"file/x": Errno.NOTDIR,
    }
    for path, error in wrong.items():
        assert caller.open(path) == -error, path
    (world / "box" / "l1").symlink_to("l2")
    (world / "box" / "l2").symlink_to("l1")
    assert caller.open("l1") == -Errno.LOOP
    assert caller.open("file/") == -Errno.NOTDIR
    assert caller.open("secret_link", lookup=0) == -Errno.LOOP


SWAPPER = """
import os, sys
box = sys.argv[1]
os.chdir(box)
os.mkdir("spare")
while True:
    os.rename("d", "spare/d0"); os.symlink("../outside", "d")
    os.unlink("d"); os.rename("spare/d0", "d")
"""


@pytest.fixture
def swapper(world: Path) -> Iterator[None]:
    """A second process that swaps a directory for a link to the outside and back, as fast as it can."""
    (world / "box" / "d").mkdir()
    (world / "box" / "d" / "secret").write_bytes(b"inside")
    process = subprocess.Popen([sys.executable, "-c", SWAPPER, str(world / "box")])
    yield
    process.kill()
    process.wait()


def test_a_race_with_a_directory_that_becomes_a_link(world: Path, swapper: None) -> None:
    before = snapshot(world / "outside")
    caller = Caller(world / "box")
    end = time.monotonic() + 2
    opened = refused = 0
    while time.monotonic() < end:
        fd = caller.open("d/secret", rights=2)
        if fd > 0:
            assert caller.read(fd) == b"inside"
            caller("fd_close", fd)
            opened += 1
        else:
            refused += 1
        created = caller.open("d/planted", CREAT)
        if created > 0:
            caller("fd_close", created)
        caller("path_unlink_file", 3, "d/planted")
        caller("path_create_directory", 3, "d/planted-directory")
        caller("path_rename", 3, "d/planted-directory", 3, "d/renamed")
        with contextlib.suppress(AssertionError):
            caller("path_remove_directory", 3, "d/renamed")
    assert opened > 50 and refused > 5, (opened, refused)
    assert snapshot(world / "outside") == before
