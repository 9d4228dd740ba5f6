"""What people see on a terminal, what pipes get, and what shells complete."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refwasm.cli import COMMANDS
from tests.support import refwasm

ESCAPE = "\x1b["


def on_terminal(*args: str, **env: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    given = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", "COLUMNS": "120"} | env
    process = subprocess.Popen(
        [sys.executable, "-m", "refwasm", *args], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=given
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the terminal is gone with its last user
    os.close(ours)
    process.wait(60)
    return shown.decode().replace("\r\n", "\n")


def test_colours_are_for_terminals(tmp_path: Path) -> None:
    script = tmp_path / "s.wast"
    script.write_text("(module)")
    shown = on_terminal("wast", str(script))
    assert f"{ESCAPE}32mok" in shown and "1 files" in shown
    assert ESCAPE + "1;31mrefwasm:" in on_terminal("no-such-command")
    assert "--device" in on_terminal("devices") and ESCAPE in on_terminal("devices")
    for plain in (on_terminal("wast", "-q", str(script), NO_COLOR="1"), on_terminal("doctor", TERM="dumb")):
        assert "\x1b[3" not in plain
    done = refwasm("wast", str(script))
    assert b"\x1b" not in done.stdout + done.stderr and b"ok   " in done.stdout


def test_without_rich_everything_is_plain(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('not here')")
    script = tmp_path / "s.wast"
    script.write_text("(module)")
    shown = on_terminal("wast", str(script), PYTHONPATH=str(tmp_path))
    assert "ok   " in shown and "1/1 s.wast" in shown and "\x1b[3" not in shown


def completed(line: str, **env: str) -> list[str]:
    """What a shell would be told."""
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "",
    }
    command = ["bash", "-c", f"{sys.executable} -m refwasm 8>&1 9>&2 1>/dev/null 2>&1"]
    done = subprocess.run(command, env=os.environ | asked | env, capture_output=True, timeout=60, check=False)
    return done.stdout.decode().split("\n")


def test_completion_of_commands_and_options() -> None:
    for line, words in {
        "refwasm exp": {"explain", "explore"},
        "refwasm run --time": {"--timeout", "--timeline"},
        "refwasm run --tier ": {"interpret", "compile", "auto"},
    }.items():
        assert {word.strip() for word in completed(line)} == words, line
    assert {word.strip() for word in completed("refwasm ")} >= set(COMMANDS)


@pytest.mark.parametrize(
    "shell, ask",
    [
        ("bash", 'eval "$({refwasm} completion bash)"; complete -p refwasm'),
        ("zsh", 'autoload -U compinit; compinit -u -D; eval "$({refwasm} completion zsh)"; print $_comps[refwasm]'),
        ("fish", "{refwasm} completion fish | source; complete -c refwasm; complete -C 'refwasm exp'"),
    ],
)
def test_shells_take_the_script(shell: str, ask: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    command = tmp_path / "refwasm"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m refwasm "$@"\n')
    command.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    words = [shell, "-f", "-c"] if shell == "zsh" else [shell, "-c"]
    done = subprocess.run([*words, ask.format(refwasm=command)], capture_output=True, timeout=60, check=False, env=env)
    assert (done.returncode == 0 and b"argcomplete" in done.stdout) or b"explore" in done.stdout, done


def test_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "argcomplete.py").write_text("raise ImportError('not here')")
    done = refwasm("completion", "bash", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2 and b"pip install 'refwasm[cli]'" in done.stderr
    assert completed("refwasm ex", PYTHONPATH=str(tmp_path)) == [""]


def test_what_to_do_first() -> None:
    done = refwasm()
    assert done.returncode == 2 and b"To begin: 'refwasm run" in done.stdout
