"""Sources by name: what ``--source`` takes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from refwasm import embedding as e
from refwasm.campaign.drawn import Drawn
from refwasm.campaign.mutate import Mutated
from refwasm.campaign.pairs import pairs
from refwasm.campaign.scripts import from_script
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import Smith
from refwasm.campaign.source import THREADS, Item, Listed, Source
from refwasm.campaign.structures import structures
from refwasm.errors import WasmError

#: The sources, and what they are.
SOURCES = {
    "singles": "each instruction by itself, with edge operands",
    "pairs": "two instructions that compilers may fuse",
    "smith": "modules of wasm-tools smith",
    "strategies": "modules of the Hypothesis strategies",
    THREADS: "parallel programs, run on real threads of wasmtime and node, judged by the memory model",
    "corpus:DIR": "modules and scripts below a folder",
    "mutate:DIR": "mutations of these modules",
}


def source_of(text: str, features: frozenset[str], seed: int) -> Source:
    """The source of that name. ``features`` are those that its modules may use, ``seed`` is that of the first one that
    is made at random, or of the order. Raises ValueError, and Unavailable."""
    kind, _, place = text.partition(":")
    if text == "singles":
        return _listed([*singles(features), *structures(features)], seed)
    if text == "pairs":
        return _listed(list(pairs(features)), seed)
    if text == "smith":
        return Smith(features, seed)
    if text == "strategies":
        return Drawn(features, seed)
    if text == THREADS:
        return Drawn(features, seed)  # what is drawn is programs: see the module parallel
    if kind in ("corpus", "mutate") and place and Path(place).is_dir():
        items = list(_below(Path(place)))
        if not items:
            raise ValueError(f"--source {text}: there are no modules below {place}")
        return _listed(items, seed) if kind == "corpus" else Mutated(items, seed)
    raise ValueError(f"--source {text}: expected {', '.join(SOURCES)}")


def _listed(items: list[Item], seed: int) -> Listed:
    """All items, in an order that the seed decides unless it is 0: who has little time sees some of everything."""
    if seed:
        random.Random(seed).shuffle(items)
    return Listed(items)


def _below(folder: Path) -> Iterator[Item]:
    """The modules in the files below a folder."""
    files = chain.from_iterable(sorted(folder.rglob(f"*.{ending}")) for ending in ("wasm", "wat", "wast"))
    for file in files:
        if file.suffix == ".wast":
            yield from from_script(file)
        else:
            module = _binary(file)
            if module is not None:
                yield Item(str(file), module)


def _binary(file: Path) -> bytes | None:
    """The module in a file, in the binary format; None if it is none."""
    data = file.read_bytes()
    try:
        module = e.module_load(data)
        return data if data[:4] == b"\0asm" else e.module_encode(module)
    except WasmError:
        return None
