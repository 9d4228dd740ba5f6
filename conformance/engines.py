"""Engines under test, through adapters: single Python files as wasi-testsuite has them.

An adapter has ``get_name()``, ``get_version()`` and ``compute_argv(…)``, in either of that suite's two generations:
``(test_path, args, env, dirs[, wasi_version])`` or ``(test_path, (args, env, root), proposals, wasi_world,
wasi_version)``. One function more, if it is there, lets cases run that need a policy: ``add_policies(argv, needs)``
gives the command line with them, or None if the engine can't.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.suite import Case


class AdapterError(Exception):
    """An adapter can't be used; the message says why."""


@dataclass(frozen=True)
class Engine:
    """An engine: its adapter, and what the adapter says of it."""

    adapter: ModuleType
    name: str
    version: str

    def argv(self, case: Case, wasm: Path) -> list[str] | None:
        """The command that runs a case; None if it needs a policy that the engine does not offer."""
        compute = self.adapter.compute_argv
        if len(inspect.signature(compute).parameters) == 5 and "proposals" in inspect.signature(compute).parameters:
            run: tuple[Any, ...] = (list(case.args), case.env, [])  # nothing is preopened; some adapters loop over it
            argv = compute(str(wasm), run, [], "wasi:cli/command", "wasm32-wasip1")
        elif "wasi_version" in inspect.signature(compute).parameters:
            argv = compute(str(wasm), list(case.args), case.env, [], "wasm32-wasip1")
        else:
            argv = compute(str(wasm), list(case.args), case.env, [])
        add = getattr(self.adapter, "add_policies", None)
        if case.needs:
            argv = None if add is None else add(list(argv), case.needs)
        if argv is not None and not argv:
            raise AdapterError("compute_argv gives no command")
        return None if argv is None else [str(word) for word in argv]


def load_engine(path: str) -> Engine:
    """The engine behind an adapter: a path, or the name of one in ``conformance/adapters``."""
    file = Path(path)
    if not file.suffix and not file.is_file():
        file = Path(__file__).parent / "adapters" / f"{path}.py"
    spec = importlib.util.spec_from_file_location(f"conformance.adapters.{file.stem}", file)
    if spec is None or spec.loader is None or not file.is_file():
        raise AdapterError(f"{path}: no such adapter")
    adapter = importlib.util.module_from_spec(spec)
    sys.modules[f"conformance.adapters.{file.stem}"] = adapter  # where dataclasses look for it
    try:
        spec.loader.exec_module(adapter)
        for function in ("get_name", "get_version", "compute_argv"):
            if not callable(getattr(adapter, function, None)):
                raise AdapterError(f"{file}: an adapter needs the function {function}")
        return Engine(adapter, str(adapter.get_name()).replace("/", "-"), str(adapter.get_version()))
    except AdapterError:
        raise
    except (Exception, SystemExit) as error:
        raise AdapterError(f"{file}: {type(error).__name__}: {error}") from error
