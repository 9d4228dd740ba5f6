"""Where the official suite is: ``REFWASM_TESTSUITE`` names the folder; ``REFWASM_PROPOSALS`` that of the tests of
newer proposals, a folder each."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refwasm.script.suite import find_scripts

#: Newer proposals that are implemented: each has a folder of official tests.
PROPOSALS = ("compact-import-section", "custom-descriptors", "custom-page-sizes", "stack-switching", "wide-arithmetic")


def suite_folder(variable: str = "REFWASM_TESTSUITE", pattern: str = "*.wast") -> Path | None:
    """The official suite; an environment variable that names no folder is an error, not a reason to skip."""
    name = os.environ.get(variable)
    if not name:
        return None
    folder = Path(name).resolve()
    if not folder.is_dir() or not any(folder.glob(pattern)):
        raise pytest.UsageError(f"{variable}={name}: no .wast files there")
    return folder


def proposal_scripts() -> list[Path]:
    """The official tests of newer proposals; UsageError if there are none of one of them."""
    folder = suite_folder("REFWASM_PROPOSALS", "*/*.wast")
    if folder is None:
        return []
    found = {name: sorted((folder / name).glob("*.wast")) for name in PROPOSALS}
    if not all(found.values()):
        raise pytest.UsageError(f"REFWASM_PROPOSALS={folder}: no scripts for one of {', '.join(PROPOSALS)}")
    return [file for files in found.values() for file in files]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = suite_folder()
    if "official_script" in metafunc.fixturenames:
        files = find_scripts([folder])[0] if folder else []
        names = [file.relative_to(folder).as_posix() for file in files] if folder else []
        metafunc.parametrize("official_script", files, ids=names)
    if "proposal_script" in metafunc.fixturenames:
        files = proposal_scripts()
        metafunc.parametrize("proposal_script", files, ids=[f"{file.parent.name}/{file.name}" for file in files])
    if "threaded_script" in metafunc.fixturenames:
        files = sorted((folder / "threads").glob("*.wast")) if folder else []
        metafunc.parametrize("threaded_script", files, ids=[file.name for file in files])
    if "own_script" in metafunc.fixturenames:
        files = sorted(Path(__file__).parent.rglob("*.wast"))
        metafunc.parametrize("own_script", files, ids=[file.stem for file in files])


@pytest.fixture(scope="session")
def official_suite() -> Path:
    folder = suite_folder()
    if folder is None:
        pytest.skip("REFWASM_TESTSUITE is not set")
    return folder
