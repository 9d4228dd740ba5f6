"""Compiled code on disk: shared, bounded, and never trusted where others could have written."""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from refwasm import Instance, Invalid, Module
from refwasm import cache as cache_module
from refwasm.binary import encode
from refwasm.cache import CacheFile, default_directory
from refwasm.execution.auto import Auto
from refwasm.execution.compiler.linking.cache import CodeCache, Kept
from refwasm.execution.interpreter.code import Code
from refwasm.text import parse_module
from refwasm.validation import functions

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
    return sorted(folder.glob("*.cache"))


def compiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what Python compiles from now on."""
    seen: list[str] = []
    original = compile

    def spy(source: str, name: str, mode: str) -> object:
        seen.append(name)
        return original(source, name, mode)

    monkeypatch.setattr("refwasm.execution.compiler.translation.python.compile", spy, raising=False)
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


def test_a_file_under_the_name_of_another_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = '(module (func (export "f") (param i32) (result i32) (i32.const 42)))'
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


def test_a_link_to_a_directory_is_not_followed_however_it_is_spelt(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    for spelling in ("link", "link/", "link//", "link/.", "./link/"):
        instance = Instance(Module(TEXT), tier="compile", cache=os.path.join(str(tmp_path), spelling))
        assert instance.exports.f(14) == 42
        instance._store.tier.save()
        assert not list(folder.iterdir()), spelling


def test_a_directory_under_the_name_of_a_file_is_an_empty_cache(folder: Path) -> None:
    run(folder)
    (path,) = files(folder)
    path.unlink()
    path.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run(folder)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [entry.name for entry in folder.iterdir()] == [path.name], "nothing is left beside it"


#: What a file may hold though its seal is right: written by another version, or by a mistake of ours.
SEALED = [
    b"", b"garbage", b"\x00", marshal.dumps(None), marshal.dumps(1), marshal.dumps(()), marshal.dumps(({},)),
    marshal.dumps(({}, {}, {})), marshal.dumps(([], {})), marshal.dumps(({0: 1}, {0: b""})),
    marshal.dumps(({"0": b""}, {})), marshal.dumps(({0: b""}, {0: b""})), marshal.dumps(({0: b"x"}, {0: b""})),
    marshal.dumps(({0: marshal.dumps(1)}, {0: b""})), marshal.dumps(({0: marshal.dumps((1, {}, b""))}, {0: b""})),
    marshal.dumps(({0: marshal.dumps((compile("1", "", "eval"), 7, b""))}, {0: b""})),
    marshal.dumps(({1 << 70: b"x"}, {-1: b"x"})), marshal.dumps(({}, {0: b"\1" * 99})),
]  # fmt: skip


@pytest.mark.parametrize("content", SEALED, ids=range(len(SEALED)))
def test_sealed_content_of_another_shape_is_ignored(folder: Path, content: bytes) -> None:
    run(folder)
    (path,) = files(folder)
    file = CacheFile(str(folder), "x")
    file.path = str(path)
    file.write(content)
    assert file.read() == content
    run(folder)


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


def test_what_can_not_be_removed_does_not_keep_the_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(folder)
    (folder / "aaa.cache").mkdir()
    os.utime(folder / "aaa.cache", (0, 0))
    monkeypatch.setattr(cache_module, "MAX_BYTES", 0)
    CacheFile(str(folder), "new").write(b"content")
    assert [path.name for path in files(folder)] == ["aaa.cache"]


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


def test_what_does_not_fit_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "MAX_FILE", 1000)
    file = CacheFile(str(folder), "source")
    file.write(b"x" * 2000)
    assert file.read() is None
    file.write(b"x" * 500)
    assert file.read() == b"x" * 500


# ---- modules that are known to be valid ------------------------------------------------------------------------------


def large(body: str = "(i32.mul (local.get 0) (i32.const 3))") -> bytes:
    """A binary module that is worth noting, with some functions that nobody calls."""
    unused = " ".join(f"(func (result i32) (local i64) (i32.const {i}))" for i in range(2000))
    return encode(parse_module(f'(module (func (export "f") (param i32) (result i32) {body}) {unused})'))


def checked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of the bodies that are validated from now on."""
    seen: list[int] = []
    original = functions._run

    def spy(stacks: object, results: object, body: tuple[object, ...]) -> object:
        seen.append(len(body))
        return original(stacks, results, body)  # type: ignore[arg-type]

    monkeypatch.setattr(functions, "_run", spy)
    return seen


@pytest.mark.parametrize("tier", ["interpret", "compile", "auto"])
def test_of_a_known_module_only_what_runs_is_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    seen = checked(monkeypatch)
    binary = large()
    for count in (2001, 1):
        module = Module(binary, cache=str(folder))
        assert Instance(module, tier=tier).exports.f(14) == 42
        assert len(seen) == count
        seen.clear()
    assert encode(module._validated.module) == binary  # everything is there if somebody wants it
    assert len(module._validated.side_tables[:]) == 2001
    assert len(seen) == 2000


def test_a_module_is_known_under_the_features_it_was_checked_with(folder: Path) -> None:
    binary = large("(i32.extend8_s (local.get 0))")
    Module(binary, cache=str(folder))
    with pytest.raises(Invalid):
        Module(binary, "all,-sign-extension", cache=str(folder))
    with pytest.raises(Invalid):
        Module(binary, "1.0", cache=str(folder))


def test_traps_of_known_modules_say_where(folder: Path) -> None:
    binary = large("(i32.div_u (local.get 0) (i32.const 0))")
    texts = []
    for _ in range(2):
        with pytest.raises(Exception, match="integer divide by zero") as caught:
            Instance(Module(binary, cache=str(folder)), tier="compile").exports.f(1)
        texts.append(caught.value.backtrace)
    assert texts[0] == texts[1]
    assert texts[0]


def test_an_invalid_module_is_never_noted(folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(Invalid):
            Module(large("(i64.const 1)"), cache=str(folder))
    assert not files(folder)


def test_what_was_used_before_is_compiled_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the first process it was not worth it; the second one pays, the third one profits."""
    seen, built = compiles(monkeypatch), []
    original = Code.build
    monkeypatch.setattr(Code, "build", lambda code: (built.append(code), original(code)))
    for interpreted, compiled in ((1, 0), (0, 1), (0, 0)):
        instance = Instance(Module(large()), tier="auto", cache=str(folder))
        assert instance.exports.f(14) == 42
        instance._store.tier.save()
        assert (len(built), len(seen)) == (interpreted, compiled)
        built.clear()
        seen.clear()


class Seen:
    """Stands for the code of the interpreter."""

    def __init__(self, missing: bytes) -> None:
        self.missing = missing

    def absent(self) -> bytes:
        return self.missing


def test_a_note_never_takes_the_place_of_code(folder: Path) -> None:
    ours, theirs = (CodeCache(str(folder), b"module", ()) for _ in range(2))
    code = compile("1", "", "eval")
    kept = Kept(code, {}, b"\0\1\1")
    seen = Seen(b"\0\0\1")
    ours.note(1, seen.absent)
    theirs.put(1, kept)
    theirs.put(2, kept)
    theirs.note(2, Seen(b"").absent)  # gone
    theirs.note(1, Seen(b"\0\1\1").absent)
    theirs.save()
    assert CodeCache(str(folder), b"module", ()).get(1) == theirs.get(1) == kept
    ours.save()
    found = CodeCache(str(folder), b"module", ())
    assert found.get(2) == kept
    assert found.get(1) is None, "somebody got to more than it has"
    assert found.absent == {1: b"\0\0\1", 2: b"\0\1\1"}


def test_compiled_code_that_was_left_is_compiled_again_in_another_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first argument goes one way through the function, the others go another one."""
    seen, left = compiles(monkeypatch), []
    resume = Auto.resume
    monkeypatch.setattr(Auto, "resume", lambda *args: left.append(args) or resume(*args))
    text = """(if (result i32) (i32.eq (local.get 0) (i32.const 14))
      (then (i32.mul (local.get 0) (i32.const 3))) (else (i32.add (local.get 0) (i32.const 27))))"""
    for argument, compiled, leaves in ((14, 0, 0), (14, 1, 0), (15, 0, 1), (15, 1, 0), (15, 0, 0), (14, 0, 0)):
        instance = Instance(Module(large(text)), tier="auto", cache=str(folder))
        assert instance.exports.f(argument) == 42
        instance._store.tier.save()
        assert (len(seen), len(left)) == (compiled, leaves), argument
        seen.clear()
        left.clear()


def test_the_compiled_tier_does_without_code_that_leaves_something_out(folder: Path) -> None:
    text = "(if (result i32) (local.get 0) (then (i32.const 42)) (else (i32.const 43)))"
    for tier, argument, result in (("auto", 1, 42), ("auto", 1, 42), ("compile", 0, 43), ("auto", 0, 43)):
        instance = Instance(Module(large(text)), tier=tier, cache=str(folder))
        assert instance.exports.f(argument) == result
        instance._store.tier.save()


def test_of_small_modules_nothing_is_written_for_that(folder: Path) -> None:
    instance = Instance(Module(TEXT), tier="auto", cache=str(folder))
    assert instance.exports.f(14) == 42
    instance._store.tier.save()
    assert not files(folder)


def test_threads_that_look_at_the_functions_of_a_known_module(folder: Path) -> None:
    binary = large()
    wanted = parse_module("(module)"), Module(binary, cache=str(folder))._validated.module
    module = Module(binary, cache=str(folder))._validated.module
    threads = [threading.Thread(target=lambda: [func.body for func in module.funcs]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert module.funcs == wanted[1].funcs
    assert wanted[1].funcs == module.funcs
    assert module.funcs != wanted[0].funcs
