"""refwasm, for all three generations of wasi-testsuite's runner and for ``python -m conformance``.

The environment variable REFWASM replaces the command; REFWASM_OPTIONS are more options of ``refwasm run``, such as
``--device native`` or ``--engine wasmtime``.
"""

import os
import shlex
import subprocess
import sys

REFWASM = shlex.split(os.environ.get("REFWASM", "")) or [sys.executable, "-m", "refwasm"]
OPTIONS = shlex.split(os.environ.get("REFWASM_OPTIONS", ""))


def get_name() -> str:
    return "refwasm"


def get_version() -> str:
    """The command's own answer: it may live in another environment than this file."""
    done = subprocess.run([*REFWASM, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def get_wasi_versions() -> list[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> list[str]:
    return ["wasi:cli/command"]


def compute_argv(test_path, args, env, dirs=(), wasi_version=""):  # type: ignore[no-untyped-def]
    """The command for a test. The newer generations pass ``(args, env, root), proposals, world`` or ``(args, env,
    [(host, guest), …]), proposals, world`` in these places."""
    if not isinstance(env, dict):
        args, env, dirs = args
        if dirs is None or isinstance(dirs, (str, os.PathLike)):
            dirs = [(dirs, "/")] if dirs else []
    options = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
    options += [word for host, guest in dirs for word in ("--dir", f"{host}::{guest}")]
    return [*REFWASM, "run", *OPTIONS, *options, str(test_path), *args]


def add_policies(argv: list[str], needs: dict[str, str]) -> list[str]:
    """The command with policies; ``workers`` is an option of its own."""
    policies = ",".join(f"{name}={value}" for name, value in needs.items() if name not in ("workers", "feature"))
    options = ["--policy", policies] if policies else []
    options += ["--workers", needs["workers"]] if "workers" in needs else []
    place = argv.index("run", len(REFWASM)) + 1
    return [*argv[:place], *options, *argv[place:]]
