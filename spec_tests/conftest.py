"""Where the official suite is: ``REFWASM_TESTSUITE`` names the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refwasm.script.suite import find_scripts


def suite_folder() -> Path | None:
    """The official suite; an environment variable that names no folder is an error, not a reason to skip."""
    name = os.environ.get("REFWASM_TESTSUITE")
    if not name:
        return None
    folder = Path(name).resolve()
    if not folder.is_dir() or not any(folder.glob("*.wast")):
        raise pytest.UsageError(f"REFWASM_TESTSUITE={name}: no .wast files there")
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = suite_folder()
    if "official_script" in metafunc.fixturenames:
        files = find_scripts([folder])[0] if folder else []
        names = [file.relative_to(folder).as_posix() for file in files] if folder else []
        metafunc.parametrize("official_script", files, ids=names)
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
