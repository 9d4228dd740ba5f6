"""Engines and tiers against the oracle: every instruction by itself, the modules of the official suite, examples."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from refwasm.campaign.scripts import from_script
from refwasm.campaign.source import Item
from refwasm.campaign.sources import source_of
from refwasm.engines.catalogue import engine
from refwasm.engines.judging import judge
from refwasm.engines.protocol import Engine
from refwasm.oracle import Oracle
from refwasm.syntax.instructions import FORMS
from refwasm.validation.features import ALL
from tools.parallel_peer import ParallelPeer

EXAMPLES = Path(__file__).parent.parent / "examples"


@cache
def items() -> dict[str, list[Item]]:
    """The items of each instruction."""
    found: dict[str, list[Item]] = {}
    for _, item in source_of("singles", ALL, 0).items(0, 10_000):
        found.setdefault(item.kind, []).append(item)
    return found


@cache
def made(name: str) -> Engine:
    """An engine, once for all tests of a process."""
    return engine(name)


@pytest.mark.parametrize("mnemonic", [name for name, form in FORMS.items() if form.feature in ALL])
def test_each_instruction(mnemonic: str) -> None:
    """On wasmtime and on the compiled tier."""
    for item in items().get(mnemonic, []):
        for name in ("wasmtime", "refwasm-compile"):
            judgement = judge(Oracle(), made(name), item.module, item.calls)
            assert judgement.verdict.kind == "agrees", (name, item.label, judgement.verdict, judgement.call)
            assert judgement.calls == len(item.calls or ())


def test_modules_of_the_official_suite(official_script: Path) -> None:
    """The calls that its scripts make, on wasmtime, and on V8 as far as it has the features."""
    engines = ["wasmtime", *(["v8"] if shutil.which("node") else [])]
    for item in list(from_script(official_script))[:12]:
        for name in engines:
            judgement = judge(Oracle(), made(name), item.module, (item.calls or [])[:60])
            assert judgement.verdict.kind != "differs", (name, item.label, judgement.verdict, judgement.call)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("nstream", ["500"]),
        ("sum", ["3000"]),
        ("matmul", ["9"]),
        ("histogram", ["2000"]),
        ("mandelbrot", ["24", "16"]),
    ],
)
def test_example_programs_print_the_same(name: str, args: list[str]) -> None:
    """Byte by byte, but for the line with time and device."""
    path = EXAMPLES / f"{name}.wasm"
    peer = ParallelPeer(path, args)
    ours = subprocess.run(
        [sys.executable, "-m", "refwasm", "run", str(path), *args], capture_output=True, timeout=60, check=True
    )
    mine, theirs = (text.splitlines() for text in (ours.stdout.decode(), peer.output))
    assert peer.code == 0 and mine[:-1] == theirs[:-1]
    assert mine[-1].startswith(f"{name}: correct in ") and theirs[-1].startswith(f"{name}: correct in ")
