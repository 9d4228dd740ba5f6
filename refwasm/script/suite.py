"""Collections of scripts: finding them, and what the folders of the official suite need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from refwasm.script.runner import Options, Report, run_script
from refwasm.validation.features import UNFINISHED, VERSION_1

#: Folders whose scripts were written against an earlier edition, and assert that later features are refused.
EDITIONS: dict[str, frozenset[str]] = {
    "proposals/threads": VERSION_1 | {"sign-extension", "nontrapping-fptoint", "multi-value", "bulk-memory", "threads"},
}
#: Folders that are left out when a whole tree is run, and why.
LEFT_OUT: dict[str, str] = {"legacy": "the exception-handling instructions that 3.0 replaced"}


def _folder(path: Path) -> str:
    return path.parent.as_posix()


def find_scripts(paths: Iterable[str | Path]) -> tuple[list[Path], dict[str, str]]:
    """Script files named or below the folders named, and the folders left out with their reasons."""
    found: list[Path] = []
    left_out: dict[str, str] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        for file in sorted(path.rglob("*.wast")):
            reason = LEFT_OUT.get(file.relative_to(path).parent.as_posix())
            if reason is None:
                found.append(file)
            else:
                left_out[str(file.parent)] = reason
    return found, left_out


def options_for(path: Path, options: Options) -> Options:
    """The options under which a script is meant to run. Tests of an unfinished proposal stand in a folder of its
    name."""
    if path.absolute().parent.name in UNFINISHED:
        options = replace(options, features=options.features | {path.absolute().parent.name})
    for folder, features in EDITIONS.items():
        if _folder(path.absolute()).endswith(folder):
            return replace(options, features=options.features & features)
    return options


def run_one(path: Path, options: Options) -> Report:
    """Run a script under the options that its folder needs."""
    return run_script(path, options_for(path, options))


def run_scripts(paths: Iterable[Path], options: Options, jobs: int = 1) -> Iterator[Report]:
    """Reports in the order of the paths; large files start first when there are several processes."""
    files = list(paths)
    if jobs <= 1:
        yield from (run_one(path, options) for path in files)
        return
    with ProcessPoolExecutor(jobs) as pool:
        by_size = sorted(files, key=lambda f: f.stat().st_size if f.exists() else 0, reverse=True)
        futures = {path: pool.submit(partial(run_one, path, options)) for path in by_size}
        for path in files:
            yield futures[path].result()
