"""The cases on disk: ``cases/CHAPTER/NAME.wat`` with a sidecar ``NAME.json`` in the format of wasi-testsuite.

The sidecar says how to run a case and what to expect; the first lines of the text say what it is about, which rules it
tests, which policies it needs and whether it ends in a trap.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.writing import assemble

CASES = Path(__file__).parent / "cases"
HEADER = re.compile(r";; (?:(rules|needs|outcome): )?(.*)")


@dataclass(frozen=True)
class Case:
    """A case. ``exit_code`` counts where ``outcome`` is ``ok``; with ``trap`` any failure of the engine's counts."""

    name: str
    path: Path
    about: str
    rules: tuple[str, ...]
    needs: dict[str, str]
    outcome: str
    args: tuple[str, ...]
    env: dict[str, str]
    exit_code: int
    stdout: str

    @property
    def chapter(self) -> str:
        return self.name.split("/")[0]


def load(folder: Path = CASES, patterns: Sequence[str] = ()) -> list[Case]:
    """The cases whose name, or one of whose rules, matches a pattern (all if there are none)."""
    cases = [_read(path, folder) for path in sorted(folder.rglob("*.wat"))]
    if not patterns:
        return cases
    return [
        case for case in cases if any(fnmatch.fnmatch(word, p) for p in patterns for word in (case.name, *case.rules))
    ]


def _read(path: Path, folder: Path) -> Case:
    about: list[str] = []
    fields: dict[str, str] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            found = HEADER.fullmatch(line.rstrip("\n"))
            if found is None:
                break
            if found[1]:
                fields[found[1]] = found[2]
            else:
                about.append(found[2])
    sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    needs = dict(word.split("=", 1) for word in fields.get("needs", "").split(",") if word)
    return Case(
        name=path.relative_to(folder).with_suffix("").as_posix(),
        path=path,
        about=" ".join(about),
        rules=tuple(fields["rules"].split()),
        needs=needs,
        outcome=fields.get("outcome", "ok"),
        args=tuple(sidecar.get("args", ())),
        env=sidecar.get("env", {}),
        exit_code=sidecar.get("exit_code", 0),
        stdout=sidecar.get("stdout", ""),
    )


def build(case: Case, folder: Path, assembler: Callable[[str], bytes] = assemble) -> Path:
    """The case as a binary module below a folder, with its sidecar: what any runner of wasi-testsuite takes."""
    target = (folder / case.name).with_suffix(".wasm")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(assembler(case.path.read_text(encoding="utf-8")))
    for name in (f"{case.path.stem}.json", "manifest.json"):
        (target.parent / name).write_bytes((case.path.parent / name).read_bytes())
    return target
