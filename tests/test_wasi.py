"""WASI preview1, function by function, and programs that use it."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refwasm import Exit, ResourceLimit, Trap
from refwasm.host.wasi import UNSTABLE
from refwasm.host.wasi import preview1 as preview1
from refwasm.host.wasi.types import Errno, FdFlags, FileType, Rights, Signal
from tests.support import refwasm
from tests.wasi_support import ALL, CREAT, DATA, DIRECTORY, EXCL, FOLLOW, OUT, TRUNC, Caller, poll, subscription


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_bytes(b"0123456789")
    (tmp_path / "l").symlink_to("f")
    return tmp_path


def test_the_tables_are_complete() -> None:
    """45 functions; the last numbers of each table are those of the witx."""
    assert len(preview1.SIGNATURES) == 46 - ("sock_accept" not in preview1.SIGNATURES)
    assert Errno.NOTCAPABLE == 76 and Errno.NOENT == 44 and Signal.SYS == 30 and Rights.SOCK_ACCEPT == 1 << 29
    for name in preview1.SIGNATURES:
        parts = [part for part, signatures in preview1.PARTS if name in signatures]
        assert len(parts) == 1 and getattr(parts[0], name).__doc__, f"{name} is documented"


# ---- files ----------------------------------------------------------------------------------------------------------


def test_reading_writing_seeking(box: Path) -> None:
    c = Caller(box)
    fd = c.open("f")
    assert c.read(fd, 4) == b"0123" and c.read(fd) == b"456789" and c.read(fd) == b""
    for offset, whence, want in ((2, 0, 2), (3, 1, 5), (-1 & (1 << 64) - 1, 2, 9)):
        assert c("fd_seek", fd, offset, whence, OUT) == 0 and c.u64() == want
    assert c("fd_tell", fd, OUT) == 0 and c.u64() == 9
    assert c("fd_seek", fd, -20 & (1 << 64) - 1, 1, OUT) == Errno.INVAL
    assert c("fd_seek", fd, 0, 3, OUT) == Errno.INVAL
    assert c.write(fd, b"ABC") == 0
    assert (box / "f").read_bytes() == b"012345678ABC"
    c.memory.write(DATA, b"xy")
    c._vector(2)
    assert c("fd_pwrite", fd, 64, 1, 1, OUT) == 0 and c("fd_tell", fd, OUT) == 0 and c.u64() == 12
    assert c("fd_pread", fd, 64, 1, 10, OUT) == 0 and c.memory.read(DATA, 2) == b"BC"
    assert (box / "f").read_bytes() == b"0xy345678ABC"
    assert c("fd_close", fd) == 0 and c.read(fd) == Errno.BADF and c("fd_close", fd) == Errno.BADF


def test_ways_to_open(box: Path) -> None:
    c = Caller(box)
    assert c.open("new") == -Errno.NOENT
    assert c.open("new", CREAT) > 3 and (box / "new").exists()
    assert c.open("new", CREAT | EXCL) == -Errno.EXIST
    assert c.open("f", TRUNC) > 3 and (box / "f").read_bytes() == b""
    assert c.open("f", DIRECTORY, rights=2) == -Errno.NOTDIR
    assert c.open("d", CREAT) == -Errno.ISDIR
    assert c.open("d", DIRECTORY, rights=2) > 3 and c.open("d", rights=ALL & ~Rights.FD_WRITE) > 3
    for path in ("d", "d/", ".", "d/.", "d/../d"):
        for oflags in (0, DIRECTORY):
            assert c.open(path, oflags) == -Errno.ISDIR, "a directory can't be written to"
    assert c.open("l", lookup=0) == -Errno.LOOP and c.open("l", lookup=FOLLOW) > 3
    assert c.open("d/../f") > 3 and c.open("./d/.././f") > 3
    assert c("path_open", 99, 0, "f", 0, 0, 0, 0, OUT) == Errno.BADF
    fd = c.open("f", flags=FdFlags.APPEND)
    assert c.write(fd, b"1") == 0 and c("fd_seek", fd, 0, 0, OUT) == 0 and c.write(fd, b"2") == 0
    assert (box / "f").read_bytes() == b"12"
    assert c("path_open", fd, 0, "f", 0, 0, 0, 0, OUT) == Errno.NOTDIR
    with pytest.raises(Trap):
        c("path_open", 3, 0, "f", 0, 0, 0, 0, 4 * 65536 - 2)


def test_rights_are_given_and_given_up(box: Path) -> None:
    c = Caller(box)
    fd = c.open("f", rights=Rights.FD_READ)
    assert c.read(fd) == b"0123456789" and c.write(fd, b"x") == Errno.NOTCAPABLE
    assert c("fd_fdstat_get", fd, OUT) == 0
    assert c.memory.load(1, OUT) == FileType.REGULAR_FILE and c.u64(OUT + 8) == Rights.FD_READ and c.u64(OUT + 16) == 0
    assert c("fd_fdstat_set_rights", fd, Rights.FD_READ | Rights.FD_WRITE, 0) == Errno.NOTCAPABLE
    assert c("fd_fdstat_set_rights", fd, 0, 0) == 0 and c.read(fd) == Errno.NOTCAPABLE
    assert c("fd_fdstat_set_rights", 3, Rights.PATH_OPEN, Rights.FD_READ) == 0
    assert c("path_create_directory", 3, "x") == Errno.NOTCAPABLE
    fd = c.open("f")
    assert c.write(fd, b"x") == Errno.NOTCAPABLE, "a directory passes on what it has"


def test_state_of_files(box: Path) -> None:
    c = Caller(box)
    fd = c.open("f")
    found = os.stat(box / "f")
    for call in (("fd_filestat_get", fd, OUT), ("path_filestat_get", 3, FOLLOW, "l", OUT)):
        assert c(*call) == 0
        assert (c.u64(OUT + 8), c.memory.load(1, OUT + 16), c.u64(OUT + 32)) == (
            found.st_ino,
            FileType.REGULAR_FILE,
            10,
        )
    assert c("path_filestat_get", 3, 0, "l", OUT) == 0 and c.memory.load(1, OUT + 16) == FileType.SYMBOLIC_LINK
    assert c("fd_filestat_set_size", fd, 4) == 0 and (box / "f").read_bytes() == b"0123"
    assert c("fd_filestat_set_size", fd, 1 << 63) == Errno.INVAL
    assert c("fd_allocate", fd, 2, 6) == 0 and (box / "f").stat().st_size == 8
    assert c("fd_filestat_set_times", fd, 10**9, 2 * 10**9, 1 | 4) == 0
    assert (box / "f").stat().st_mtime_ns == 2 * 10**9 and (box / "f").stat().st_atime_ns == 10**9
    assert c("fd_filestat_set_times", fd, 0, 0, 1 | 2) == Errno.INVAL
    assert c("path_filestat_set_times", 3, 0, "l", 5, 6, 5) == 0
    assert (box / "l").lstat().st_mtime_ns == 6 and (box / "f").stat().st_mtime_ns == 2 * 10**9
    assert c("fd_advise", fd, 0, 10, 5) == 0 and c("fd_advise", fd, 0, 10, 6) == Errno.INVAL
    assert c("fd_sync", fd) == c("fd_datasync", fd) == 0


def test_flags_and_numbers(box: Path) -> None:
    c = Caller(box)
    one, two = c.open("f"), c.open("d", rights=Rights.FD_READDIR)
    assert (one, two) == (4, 5)
    assert c("fd_fdstat_set_flags", one, FdFlags.APPEND) == 0
    assert c("fd_fdstat_get", one, OUT) == 0 and c.memory.load(2, OUT + 2) == FdFlags.APPEND
    assert c("fd_fdstat_set_flags", one, FdFlags.SYNC) == Errno.NOTSUP
    assert c("fd_fdstat_set_flags", one, 1 << 9) == Errno.INVAL
    assert c("fd_renumber", one, two) == 0 and c.read(one) == Errno.BADF and c.read(two) == b"0123456789"
    assert c("fd_renumber", two, 77) == Errno.BADF and c("fd_renumber", 77, two) == Errno.BADF
    assert c("fd_renumber", two, two) == 0
    assert c.open("f") == 4, "the lowest free number"
    assert c("fd_prestat_get", 3, OUT) == 0 and c.u32(OUT + 4) == 1
    assert c("fd_prestat_dir_name", 3, OUT, 1) == 0 and c.memory.read(OUT, 1) == b"/"
    assert c("fd_prestat_dir_name", 3, OUT, 0) == Errno.NAMETOOLONG
    assert c("fd_prestat_get", 4, OUT) == c("fd_prestat_get", 99, OUT) == Errno.BADF


def test_directories_links_names(box: Path) -> None:
    c = Caller(box)
    assert c("path_create_directory", 3, "d/e") == 0 and c("path_create_directory", 3, "d/e") == Errno.EXIST
    assert c("path_remove_directory", 3, "d") == Errno.NOTEMPTY and c("path_remove_directory", 3, "f") == Errno.NOTDIR
    assert c("path_unlink_file", 3, "d") == Errno.ISDIR and c("path_unlink_file", 3, "f/") == Errno.NOTDIR
    assert c("path_rename", 3, "d/e", 3, "g") == 0 and (box / "g").is_dir()
    assert c("path_rename", 3, "f", 3, "g") == Errno.ISDIR
    assert c("path_link", 3, 0, "f", 3, "d/h") == 0 and os.stat(box / "f").st_nlink == 2
    assert c("path_link", 3, 0, "d", 3, "i") == Errno.PERM
    assert c("path_symlink", "../f", 3, "d/s") == 0 and os.readlink(box / "d" / "s") == "../f"
    assert c("path_symlink", "x", 3, "f") == Errno.EXIST
    assert c("path_readlink", 3, "d/s", DATA, 100, OUT) == 0 and c.memory.read(DATA, c.u32()) == b"../f"
    assert c("path_readlink", 3, "d/s", DATA, 2, OUT) == 0 and c.u32() == 2
    assert c("path_readlink", 3, "f", DATA, 100, OUT) == Errno.INVAL
    assert c("path_unlink_file", 3, "d/h") == 0 and c("path_remove_directory", 3, "g/") == 0
    assert sorted(p.name for p in box.rglob("*")) == ["d", "f", "l", "s"]


def test_reading_a_directory(box: Path) -> None:
    c = Caller(box)
    fd = c.open(".", DIRECTORY, rights=Rights.FD_READDIR)
    want = [("d", FileType.DIRECTORY), ("f", FileType.REGULAR_FILE), ("l", FileType.SYMBOLIC_LINK)]
    names = c.names(fd)
    assert names[:2] == [(".", FileType.DIRECTORY), ("..", FileType.DIRECTORY)] and sorted(names[2:]) == want
    assert c("fd_readdir", c.open("f"), DATA, 100, 0, OUT) == Errno.NOTDIR
    assert c("fd_readdir", fd, DATA, 100, 1 << 40, OUT) == 0 and c.u32() == 0


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(room=st.integers(60, 700), count=st.integers(0, 60), removed=st.integers(0, 59))
def test_cookies_give_each_name_once(
    tmp_path_factory: pytest.TempPathFactory, room: int, count: int, removed: int
) -> None:
    """Whatever the size of the buffer, and though a file goes and another one comes in the middle."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(count):
        (folder / f"file-{number}").touch()
    c = Caller(folder)
    fd = c.open(".", DIRECTORY, rights=Rights.FD_READDIR)
    assert c("fd_readdir", fd, DATA, room, 0, OUT) == 0
    (folder / f"file-{removed}").unlink(missing_ok=True)
    (folder / "late").touch()
    again = [name for name, _ in c.names(fd, room)]
    assert len(again) == len(set(again)) == len(list(folder.iterdir())) + 2


# ---- streams, clocks, the rest --------------------------------------------------------------------------------------


def test_streams_of_the_hosts(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    c = Caller(stdin=reading)
    os.write(writing, b"hello")
    assert c.read(0, 3) == b"hel" and c.read(0) == b"lo"
    assert c("fd_fdstat_set_flags", 0, FdFlags.NONBLOCK) == 0
    assert c.read(0) == Errno.AGAIN, "and the pipe itself stays as it is"
    assert os.get_blocking(reading)
    assert c("fd_seek", 0, 0, 1, OUT) in (Errno.SPIPE, Errno.NOTCAPABLE)
    c("fd_fdstat_set_flags", 0, 0)
    c.system.deadline = time.monotonic() + 0.2
    with pytest.raises(ResourceLimit, match="time limit"):
        c.read(0)
    os.close(writing)
    assert c.read(0) == b""
    os.close(reading)


def test_poll(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    c = Caller(stdin=reading)
    assert c("poll_oneoff", 0, 0, 0, OUT) == Errno.INVAL
    start = time.monotonic()
    long, short = subscription(1, 0, timeout=10**10), subscription(2, 0, timeout=3 * 10**7)
    assert poll(c, long, short, subscription(3, 1)) == [(2, 0, 0)]
    assert 0.02 < time.monotonic() - start < 2
    assert poll(c, long, subscription(4, 2, fd=1)) == [(4, 0, 2)]
    threading.Timer(0.1, os.write, (writing, b"x")).start()
    assert poll(c, long, subscription(5, 1)) == [(5, 0, 1)]
    assert poll(c, subscription(6, 1, fd=99), long) == [(6, Errno.BADF, 1)]
    assert poll(c, subscription(7, 0, clock=9), subscription(8, 1, fd=99)) == [(7, Errno.INVAL, 0), (8, Errno.BADF, 1)]
    past = subscription(9, 0, timeout=1, flags=1)
    assert poll(c, past, long) == [(9, 0, 0)]
    c.system.deadline = time.monotonic() + 0.2
    with pytest.raises(ResourceLimit):
        poll(c, long)
    os.close(writing)
    os.close(reading)


def test_clocks_random_arguments() -> None:
    c = Caller(args=["prog", "ä b"], env={"K": "V"})
    for clock in range(4):
        assert c("clock_res_get", clock, OUT) == 0 and c.u64() > 0
        assert c("clock_time_get", clock, 0, OUT) == 0
    assert c("clock_time_get", 0, 0, OUT) == 0 and abs(c.u64() - time.time_ns()) < 10**10
    assert c("clock_time_get", 4, 0, OUT) == c("clock_res_get", 4, OUT) == Errno.INVAL
    assert c("random_get", DATA, 1000) == 0 and len(set(c.memory.read(DATA, 1000))) > 200
    assert c("args_sizes_get", OUT, OUT + 4) == 0 and (c.u32(), c.u32(OUT + 4)) == (2, 10)
    assert c("args_get", OUT, DATA) == 0 and c.memory.read(DATA, 10) == b"prog\0\xc3\xa4 b\0"
    assert c("environ_sizes_get", OUT, OUT + 4) == 0 and c.u32(OUT + 4) == 4
    steady = [Caller(deterministic=True) for _ in range(2)]
    looks = [
        [d("clock_time_get", 1, 0, OUT), d.u64(), d("random_get", DATA, 9), d.memory.read(DATA, 9)] for d in steady
    ]
    assert looks[0] == looks[1]


def test_the_program_itself() -> None:
    c = Caller()
    with pytest.raises(Exit):
        c("proc_exit", 7)
    assert c("sched_yield") == c("proc_raise", 0) == c("proc_raise", Signal.CHLD) == 0
    assert c("proc_raise", 31) == Errno.INVAL
    with pytest.raises(Exit) as ended:
        c("proc_raise", Signal.ABRT)
    assert ended.value.code == 134


def test_sockets() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    address = server.getsockname()
    c = Caller(sockets=[server.detach()])
    assert c("fd_fdstat_get", 3, OUT) == 0 and c.memory.load(1, OUT) == FileType.SOCKET_STREAM
    assert c("fd_fdstat_set_flags", 3, FdFlags.NONBLOCK) == 0 and c("sock_accept", 3, 0, OUT) == Errno.AGAIN
    client = socket.create_connection(address)
    c("fd_fdstat_set_flags", 3, 0)
    assert c("sock_accept", 3, 0, OUT) == 0
    fd = c.u32()
    client.sendall(b"ping")
    c._vector(100)
    assert c("sock_recv", fd, 64, 1, 1, OUT, OUT + 4) == 0 and c.u32() == 4, "a peek"
    assert c("sock_recv", fd, 64, 1, 0, OUT, OUT + 4) == 0 and c.memory.read(DATA, 4) == b"ping"
    c.memory.write(DATA, b"pong")
    c._vector(4)
    assert c("sock_send", fd, 64, 1, 0, OUT) == 0 and client.recv(10) == b"pong"
    assert c("sock_send", fd, 64, 1, 1, OUT) == Errno.INVAL
    assert c("sock_shutdown", fd, 0) == Errno.INVAL and c("sock_shutdown", fd, 2) == 0 and client.recv(10) == b""
    assert c("sock_shutdown", 1, 2) == Errno.NOTSOCK and c("sock_shutdown", 99, 2) == Errno.BADF
    client.close()
    c.system.descriptors.close_all()


def test_the_older_spelling(box: Path) -> None:
    c = Caller(box, UNSTABLE)
    fd = c.open("f")
    for whence, want in ((2, 3), (0, 6), (1, 13)):
        assert c("fd_seek", fd, 3, whence, OUT) == 0 and c.u64() == want
    assert c("fd_seek", fd, 3, 3, OUT) == Errno.INVAL
    for call in (("fd_filestat_get", fd, OUT), ("path_filestat_get", 3, FOLLOW, "l", OUT)):
        assert c(*call) == 0 and (c.memory.load(1, OUT + 16), c.u32(OUT + 20), c.u64(OUT + 24)) == (4, 1, 10)
    clock = bytes(8) + bytes(8) + bytes(8) + (1).to_bytes(4, "little") + bytes(4) + (10**6).to_bytes(8, "little")
    c.memory.write(DATA, clock.ljust(56, b"\0"))
    assert c("poll_oneoff", DATA, DATA + 100, 1, OUT) == 0 and c.u32() == 1


def test_many_descriptors_are_an_error_not_an_end(box: Path) -> None:
    c = Caller(box)
    opened = []
    while (fd := c.open("f", rights=2)) > 0:
        opened.append(fd)
        assert len(opened) < 5000
    assert fd in (-Errno.NFILE, -Errno.MFILE)
    assert c("fd_close", opened[0]) == 0 and c.open("f") == opened[0]
    c.system.descriptors.close_all()


# ---- programs -------------------------------------------------------------------------------------------------------

C_PROGRAM = r"""
#undef NDEBUG
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "assert")) { printf("before"); assert(argc == 100); }
    printf("%s=%s\n", "NAME", getenv("NAME"));
    FILE *f = fopen("/w/out.txt", "w+");
    if (!f) { perror("fopen"); return 1; }
    fprintf(f, "%d lines\n", 3);
    for (int i = 0; i < 3; i++) fprintf(f, "line %d\n", i);
    rewind(f);
    char line[100];
    while (fgets(line, sizeof line, f)) fputs(line, stdout);
    fclose(f);
    mkdir("/w/sub", 0777);
    rename("/w/out.txt", "/w/sub/moved.txt");
    symlink("sub/moved.txt", "/w/link");
    struct stat s;
    stat("/w/link", &s);
    printf("%d bytes\n", (int)s.st_size);
    DIR *d = opendir("/w");
    int n = 0;
    for (struct dirent *e; (e = readdir(d));) n++;
    closedir(d);
    printf("%d entries\n", n);
    printf("%d %d\n", open("/etc/passwd", O_RDONLY), errno != 0);
    while (fgets(line, sizeof line, stdin)) printf("stdin: %s", line);
    fflush(stdout);
    fprintf(stderr, "done\n");
    return 42;
}
"""


@pytest.fixture(scope="session")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("c")
    (folder / "p.c").write_text(C_PROGRAM)
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "--target=wasm32-wasi",
        "-O1",
        str(folder / "p.c"),
        "-o",
        str(folder / "p.wasm"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "p.wasm"


def test_a_c_program(c_program: Path, tmp_path: Path) -> None:
    done = refwasm("run", "--dir", f"{tmp_path}::/w", "--env", "NAME=value", str(c_program), stdin=b"a\nb\n")
    assert done.returncode == 42, done.stderr
    assert done.stdout.decode().splitlines() == [
        "NAME=value", "3 lines", "line 0", "line 1", "line 2", "29 bytes", "4 entries", "-1 1", "stdin: a", "stdin: b",
    ]  # fmt: skip
    assert done.stderr == b"done\n"
    assert (tmp_path / "sub" / "moved.txt").read_bytes() == b"3 lines\nline 0\nline 1\nline 2\n"
    assert stat.S_ISLNK((tmp_path / "link").lstat().st_mode)


def test_a_failed_assertion_reads_as_it_would_natively(c_program: Path) -> None:
    done = refwasm("run", str(c_program), "assert")
    assert done.returncode == 134
    assert re.match(
        rb"Assertion failed: argc == 100 \(.*p\.c: main: \d+\)\nrefwasm: trap: unreachable\n    at func\[\d+\] \$abort",
        done.stderr,
    ), done.stderr


def test_stdin_from_a_file_and_bad_options(c_program: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("one\n")
    done = refwasm("run", "--dir", f"{tmp_path}::/w", "--stdin", str(words), str(c_program))
    assert b"stdin: one\n" in done.stdout
    for options in (("--dir", "/nowhere"), ("--listen", "somewhere"), ("--threads", "green")):
        done = refwasm("run", *options, str(c_program))
        assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert refwasm("run", "--stdin", "/nowhere", str(c_program)).returncode == 1


def test_output_into_a_pipe_that_closes_early(c_program: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m refwasm run --dir {tmp_path}::/w {c_program} | head -c 5"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )
    assert done.stdout == b"NAME=" and b"Traceback" not in done.stderr


def test_all_rights_of_a_preopened_directory_reach_files(box: Path) -> None:
    c = Caller(box)
    assert c("fd_fdstat_get", 3, OUT) == 0
    assert c.u64(OUT + 16) & ALL & int(Rights.FD_READ | Rights.FD_WRITE | Rights.PATH_OPEN)


# ---- found by bug hunts ----------------------------------------------------------------------------------------------


def test_a_descriptor_closed_in_use_keeps_its_number_on_the_host(box: Path) -> None:
    """Otherwise a thread in the middle of a call would go on in whatever got the number next."""
    c = Caller(box)
    fd = c.open("f")
    with c.system.descriptors.using(fd) as found:
        assert c("fd_close", fd) == 0 and c.read(fd) == Errno.BADF
        os.fstat(found.fd)
        assert c.open("f") == fd, "the guest's number is free at once"
        assert c.system.descriptors.get(fd).fd != found.fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(found.fd)


def test_what_was_written_counts_though_the_rest_fails(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    c = Caller(stdout=writing)
    assert c("fd_fdstat_set_flags", 1, FdFlags.NONBLOCK) == 0
    assert c.write(1, b"x" * 100_000) == 0 and 0 < c.u32() < 100_000
    assert c.write(1, b"x") in (0, Errno.AGAIN)
    c("fd_fdstat_set_flags", 1, 0)
    c.system.deadline = time.monotonic() + 0.2
    with pytest.raises(ResourceLimit):
        while True:
            c.write(1, b"x" * 10_000)
    os.close(reading)
    os.close(writing)


def test_a_slash_does_not_change_what_a_link_leads_to(box: Path) -> None:
    (box / "ld").symlink_to("d")
    (box / "dangling").symlink_to("nowhere")
    c = Caller(box)
    assert c("path_remove_directory", 3, "ld/") == Errno.NOTDIR and (box / "d").is_dir()
    assert c("path_remove_directory", 3, "d/.") == Errno.INVAL
    assert c("path_rename", 3, "ld/", 3, "z") == Errno.NOTDIR
    assert c("path_create_directory", 3, "dangling/") == Errno.EXIST and not (box / "nowhere").exists()
    assert c("path_rename", 3, "d/.", 3, "z") == Errno.BUSY
    assert c.open("ld/", rights=2) > 3, "opening follows"


def test_unknown_flags_and_empty_vectors(box: Path) -> None:
    c = Caller(box)
    assert c.open("f", flags=1 << 5) == -Errno.INVAL and c.open("f", oflags=1 << 4) == -Errno.INVAL
    fd = c.open("f")
    c.memory.write(1024, bytes(8 * 1023) + (DATA + 20000).to_bytes(4, "little") + (5).to_bytes(4, "little"))
    assert c("fd_read", fd, 1024, 1024, OUT) == 0 and c.u32() == 5
    for name in ("fd_read", "fd_write"):
        assert c(name, fd, 1024, 1025, OUT) == Errno.INVAL, "IOV_MAX"
    assert c("fd_pwrite", fd, 0, 4_000_000, 0, OUT) == Errno.INVAL, "also where they would not fit the memory"
    assert c("poll_oneoff", 0, 0, 2_600_000, OUT) == Errno.INVAL


@pytest.mark.parametrize(
    "body", ['(func (export "_start") (param i32))', '(global (export "_start") i32 (i32.const 0))',
             '(func (export "_start")) (func (export "_initialize") (param i32))'],
)  # fmt: skip
def test_a_start_of_the_wrong_type_is_refused(tmp_path: Path, body: str) -> None:
    path = tmp_path / "p.wat"
    path.write_text(f'(module (memory (export "memory") 1) {body})')
    done = refwasm("run", str(path))
    assert done.returncode in (1, 2) and b"Traceback" not in done.stderr and done.stderr.startswith(b"refwasm: ")
