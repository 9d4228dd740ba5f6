"""refwasm, for both generations of wasi-testsuite's runner and for ``python -m conformance``.

The environment variable REFWASM replaces the command.
"""

import importlib.metadata
import os
import shlex
import sys

REFWASM = shlex.split(os.environ.get("REFWASM", "")) or [sys.executable, "-m", "refwasm"]


def get_name() -> str:
    return "refwasm"


def get_version() -> str:
    return importlib.metadata.version("refwasm")


def get_wasi_versions() -> list[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> list[str]:
    return ["wasi:cli/command"]


def compute_argv(test_path, *run):  # type: ignore[no-untyped-def]
    """The command for a test: ``run`` is ``args, env, dirs[, version]`` or ``(args, env, root), proposals, …``."""
    if len(run) > 1 and isinstance(run[1], dict):
        args, env, dirs = run[0], run[1], [f"{host}::{guest}" for host, guest in run[2]]
    else:
        args, env, root = run[0]
        dirs = [f"{root}::/"] if root else []
    options = [word for key, value in env.items() for word in ("--env", f"{key}={value}")]
    options += [word for folder in dirs for word in ("--dir", folder)]
    return [*REFWASM, "run", *options, str(test_path), *args]


def add_policies(argv: list[str], needs: dict[str, str]) -> list[str]:
    """The command with policies; ``workers`` is an option of its own."""
    policies = ",".join(f"{name}={value}" for name, value in needs.items() if name != "workers")
    options = ["--policy", policies] if policies else []
    options += ["--workers", needs["workers"]] if "workers" in needs else []
    place = argv.index("run", len(REFWASM)) + 1
    return [*argv[:place], *options, *argv[place:]]
