"""What a campaign judges: items, each a module with the calls to make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from refwasm.engines.judging import Call


class Item(NamedTuple):
    """A module in the binary format; its calls, None for those that ``seed`` chooses. ``label`` names it in reports,
    ``kind`` is what buckets are told apart by: the instruction, where it is about one."""

    label: str
    module: bytes
    calls: Sequence[Call] | None = None
    seed: int = 0
    kind: str = "generated"
