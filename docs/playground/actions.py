"""What the playground asks of refwasm: one call for each press of a button.

A call is a command of refwasm's on one file; its report becomes HTML. So the page can do what the command line can, and
says which command it was.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from refwasm.cli import main
from refwasm.cli.terminal import Progress
from refwasm.reports.documents import parse
from refwasm.reports.pages import render_fragment

#: The folder in which commands run; it holds the file, and what a program writes is gone with the next call.
FOLDER = Path("/tmp/playground")
#: Files by how they begin or end, for programs that are pasted.
SCRIPT_WORDS = ("(assert_", "(invoke", "(register", "(thread")


def perform(request: str, content: bytes | memoryview, progress: Callable[[str], object] = print) -> str:
    """Run an action on a program, which is a file's content. ``request`` is what ``playground.js`` asks, as JSON.

    The answer has ``code`` (the command's exit code), ``command``, ``text`` (what the command said), ``html`` (its
    report) and ``places`` (lines and columns that it names in the program, with what it says of them)."""
    wanted, data = json.loads(request), bytes(content)
    name = file_name(wanted.get("name", ""), data)
    os.chdir("/")  # nobody stands in the folder
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.chdir(FOLDER)
    Path(name).write_bytes(data)
    words = command(wanted, name)
    text = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)  # some commands write bytes
    Progress.listener = lambda done, total, told: progress(f"{done}{f' of {total}' if total else ''} {told}")
    with redirect_stdout(text), redirect_stderr(text):
        code = main(words)
    said = text.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    report = Path("report.json")
    html = render_fragment(parse(report.read_text(encoding="utf-8"))) if report.exists() else ""
    shown = [word for word in words if word not in ("--json", "report.json")]
    answer: dict[str, Any] = {
        "code": code, "command": shlex.join(["refwasm", *shown]), "text": said, "html": html,
        "places": places(said, name),
    }  # fmt: skip
    return json.dumps(answer)


def file_name(given: str, data: bytes) -> str:
    """The name of the program's file; what it ends in decides how it is read."""
    stem = re.sub(r"[^\w.+-]", "_", given) or "program"
    if stem.endswith((".wat", ".wast", ".wasm", ".litmus")):
        return stem
    text = data.decode("utf-8", "replace")
    if data[:4] == b"\0asm":
        return f"{stem}.wasm"
    if "(" not in text.split("\n;;")[0][:4000] and re.search(r"^(sc|relaxed|forbidden):", text, re.MULTILINE):
        return f"{stem}.litmus"
    return f"{stem}.wast" if any(word in text for word in SCRIPT_WORDS) else f"{stem}.wat"


def command(wanted: dict[str, Any], name: str) -> list[str]:
    """The command of an action: ``run``, ``explore``, ``explain``, ``text`` (a binary module as text)."""
    action, args = wanted["action"], shlex.split(wanted.get("args", ""))
    report = ["--json", "report.json"]
    if action == "text":
        return ["wasm2wat", name]
    if action == "explain":
        return ["explain", *report, name, args[0] if args else "0"]
    if action == "explore":
        flags = [f"--{flag}" for flag in ("races", "model") if wanted.get(flag)]
        threads = [word for arg in args for word in ("--thread", arg)]
        return ["explore", *report, *flags, *threads, name]
    if name.endswith(".litmus"):
        return ["litmus", *report, name]
    if name.endswith(".wast"):
        return ["wast", *report, name]
    flags = ["--policy", wanted["policy"]] if wanted.get("policy") else []
    flags += ["--strict"] if wanted.get("strict") else []
    flags += ["--races"] if wanted.get("races") else []
    invoked = ["--invoke", args[0]] if args and wanted.get("invoke") else []
    return ["run", *report, "--no-cache", *flags, *invoked, name, *(args[1:] if invoked else args)]


#: What messages say of places in the text: "program.wat:3:14: type mismatch", "at func[0] $f 3:14".
_NAMED = r"{name}:(\d+):(\d+): (.*)"
_CALLED = re.compile(r"^\s*at (func\[\d+\][^\n]*?) (\d+):(\d+)$", re.MULTILINE)


def places(text: str, name: str) -> list[dict[str, Any]]:
    """The places in a message; the first is where it happened."""
    found = [
        {"line": int(line), "column": int(column), "message": message}
        for line, column, message in re.findall(_NAMED.format(name=re.escape(name)), text)
    ]
    trap = re.search(r"trap: (.*)", text)
    for function, line, column in _CALLED.findall(text):
        message = f"active: {function}" if trap else "one side of a race, or a call on the way there"
        message = trap.group(1) if trap and not found else message
        found.append({"line": int(line), "column": int(column), "message": message})
    return found
