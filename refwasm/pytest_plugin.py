"""The pytest plugin: options that say which engine the properties of :mod:`refwasm.strategies.properties` are about.

pytest imports this file wherever refwasm is installed; so it imports nothing of refwasm before somebody asks for an
engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from refwasm.engines.protocol import Engine

#: Seconds that a program may take.
TIMEOUT = 60


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("refwasm", "properties of WebAssembly engines")
    group.addoption(
        "--refwasm-engine",
        metavar="NAME[==VERSION]",
        help="the engine to test, as 'refwasm engines' lists it",
    )
    group.addoption(
        "--refwasm-parallel", metavar="COMMAND", help="what runs a program that uses wasi-parallel: COMMAND FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a name that no engine has, before any test runs."""
    name = config.getoption("--refwasm-engine")
    if name:
        from refwasm.engines.catalogue import known
        from refwasm.engines.protocol import Unavailable

        try:
            known(name)
        except Unavailable as error:
            raise pytest.UsageError(f"--refwasm-engine: {error}") from None


@pytest.fixture(scope="session")
def refwasm_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine to test. Tests that use it are skipped if none is named."""
    name = request.config.getoption("--refwasm-engine")
    if not name:
        pytest.skip("no --refwasm-engine")
    from refwasm.engines.catalogue import engine
    from refwasm.engines.protocol import Unavailable

    try:
        made = engine(name)
    except Unavailable as error:
        raise pytest.UsageError(f"--refwasm-engine: {error}") from None
    yield made
    made.close()


@pytest.fixture(scope="session")
def refwasm_parallel(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Callable[[bytes], bytes]:
    """What runs a program (in the binary format), and returns what it wrote to stdout. Tests that use it are skipped if
    no command is given."""
    import shlex
    import subprocess

    command = request.config.getoption("--refwasm-parallel")
    if not command:
        pytest.skip("no --refwasm-parallel")
    file = tmp_path_factory.mktemp("refwasm") / "program.wasm"

    def run(program: bytes) -> bytes:
        file.write_bytes(program)
        done = subprocess.run([*shlex.split(command), str(file)], capture_output=True, check=False, timeout=TIMEOUT)
        assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"
        return done.stdout

    return run
