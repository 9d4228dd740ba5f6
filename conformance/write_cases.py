"""Write the cases to ``conformance/cases``: ``python -m conformance.write_cases`` (a test checks that they are up to
date). Files of cases that are gone are removed."""

from __future__ import annotations

import json
from pathlib import Path

from conformance.sources import all_cases

FOLDER = Path(__file__).parent / "cases"
MANIFEST = json.dumps({"name": "wasi-parallel"}, indent=2) + "\n"


def files() -> dict[str, str]:
    """Path below the folder and content of every file."""
    written: dict[str, str] = {}
    for case in all_cases():
        assert f"{case.name}.wat" not in written, case.name
        written[f"{case.name}.wat"] = case.wat()
        written[f"{case.name}.json"] = case.sidecar()
        written[f"{case.name.split('/')[0]}/manifest.json"] = MANIFEST
    return written


def main() -> None:
    """Make the folder what it should be."""
    wanted = files()
    for path in [p for p in FOLDER.rglob("*") if p.suffix in (".wat", ".json")]:
        if path.relative_to(FOLDER).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    print(f"{sum(name.endswith('.wat') for name in wanted)} cases in {FOLDER}")


if __name__ == "__main__":
    main()
