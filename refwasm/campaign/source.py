"""What a campaign judges: items, each a module with the calls to make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from refwasm.engines.judging import Call


class Item(NamedTuple):
    """A module in the binary format; its calls, None for those that ``seed`` chooses; ``label`` names it in reports
    and, for single instructions, is the instruction."""

    label: str
    module: bytes
    calls: Sequence[Call] | None = None
    seed: int = 0
