"""Compiled code on disk: shared, bounded, and never trusted where others could have written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from refwasm import Instance, Module
from refwasm.execution.compiler import cache as cache_module
from refwasm.execution.compiler.cache import CodeCache, default_directory

TEXT = '(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3))))'


def run(folder: Path, text: str = TEXT) -> Instance:
    """Compile and run with a cache; what is new is written."""
    instance = Instance(Module(text), tier="compile", cache=str(folder))
    assert instance.exports.f(14) == 42
    instance._store.tier.save()
    return instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.code"))


def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what Python compiles from now on."""
    seen: list[str] = []
    original = compile

    def spy(source: str, name: str, mode: str) -> object:
        seen.append(name)
        return original(source, name, mode)

    monkeypatch.setattr("refwasm.execution.compiler.python.compile", spy, raising=False)
    return seen


def test_code_is_written_once_and_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = compiles(monkeypatch)
    run(folder)
    assert len(seen) == 1
    (path,) = files(folder)
    assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    run(folder)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: os.urandom(len(data)),
        lambda data: b"\0" * 32 + data[32:],
    ],
)
def test_damaged_files_are_ignored_and_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch, damage: object) -> None:
    run(folder)
    (path,) = files(folder)
    good = path.read_bytes()
    path.write_bytes(damage(good))  # type: ignore[operator]
    seen = compiles(monkeypatch)
    run(folder)
    assert len(seen) == 1
    assert path.read_bytes() == good


def test_foreign_code_in_a_whole_file_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of another module under this one's name: the bodies differ."""
    other = '(module (func (export "f") (param i32) (result i32) (local i64) (i32.const 42)))'
    run(folder)
    (path,) = files(folder)
    run(folder, other)
    (foreign,) = set(files(folder)) - {path}
    path.write_bytes(foreign.read_bytes())
    seen = compiles(monkeypatch)
    run(folder)
    assert len(seen) == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_files_that_others_may_write_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    run(folder)
    (path,) = files(folder)
    path.chmod(mode)
    seen = compiles(monkeypatch)
    run(folder)
    assert len(seen) == 1


def test_directories_that_others_may_write_are_not_used(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    run(folder)
    assert not list(folder.iterdir())


def test_links_are_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder)
    (path,) = files(folder)
    moved = folder.parent / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    seen = compiles(monkeypatch)
    run(folder)
    assert len(seen) == 1
    assert not path.is_symlink()


def test_a_named_pipe_does_not_hang(folder: Path) -> None:
    run(folder)
    (path,) = files(folder)
    path.unlink()
    os.mkfifo(path)
    run(folder)


def test_a_place_that_cannot_be_used_is_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run(tmp_path / "file")
    run(tmp_path / "file" / "below")


def test_options_have_files_of_their_own(folder: Path) -> None:
    run(folder)
    instance = Instance(Module(TEXT), tier="compile", cache=str(folder), fuel=100)
    assert instance.exports.f(14) == 42
    instance._store.tier.save()
    assert len(files(folder)) == 2


def test_the_oldest_files_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_BYTES", 2500)
    for number in range(12):
        run(folder, TEXT.replace("(func", f"(global i32 (i32.const {number})) (func"))
        for path in files(folder):
            os.utime(path, (path.stat().st_atime - 10, path.stat().st_mtime - 10))
    assert 0 < sum(path.stat().st_size for path in files(folder)) <= 2500


def test_processes_that_write_together(folder: Path) -> None:
    script = (
        "import sys; from refwasm import Instance, Module\n"
        "for i in range(30):\n"
        "    text = '(module (func (export \"f\") (result i32) (i32.const %d)))' % (i % 5)\n"
        "    x = Instance(Module(text), tier='compile', cache=sys.argv[1])\n"
        "    assert x.exports.f() == i % 5\n"
        "    x._store.tier.save()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script, str(folder)]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert len(files(folder)) == 5
    assert not list(folder.glob(".new-*"))


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFWASM_CACHE", "/somewhere")
    assert default_directory() == "/somewhere"
    monkeypatch.setenv("REFWASM_CACHE", "")
    assert default_directory() is None
    monkeypatch.delenv("REFWASM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_directory() == "/xdg/refwasm"


def test_the_command_line_keeps_code(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "f.wat"
    path.write_text(TEXT)
    command = [sys.executable, "-m", "refwasm", "run", "--tier", "compile", "--invoke", "f", str(path), "14"]
    env = {**os.environ, "REFWASM_CACHE": str(folder)}
    assert subprocess.run([*command[:4], "--no-cache", *command[4:]], env=env, capture_output=True).returncode == 0
    assert not files(folder)
    assert subprocess.run(command, env=env, capture_output=True, text=True).stdout == "42\n"
    assert len(files(folder)) == 1


def test_entries_of_another_shape_are_ignored(folder: Path) -> None:
    cache = CodeCache(str(folder), b"m", ())
    cache.entries[0, -1] = b"not marshalled"
    assert cache.get((0, -1), "identity") is None
    assert (0, -1) not in cache
