"""A module in an engine, seen through the shim: calls, globals and memories as the oracle sees them."""

from __future__ import annotations

from collections.abc import Sequence

from refwasm import embedding as e
from refwasm.engines.protocol import Ended, Engine, Instance
from refwasm.engines.shim import FIRST_TAG, RETURNED, Shimmed, Slot, shim
from refwasm.oracle.outcomes import Outcome, Returned, Threw, Value
from refwasm.syntax.modules import Module
from refwasm.syntax.types import V128, NumType, RefType, ValType


class Session:
    """An instance of a (valid) module in an engine. ``outcome`` is that of the instantiation, or of the last call."""

    def __init__(self, engine: Engine, module: Module, shimmed: Shimmed | None = None) -> None:
        self.engine = engine
        self.shimmed = shimmed or shim(module)
        self.instance: Instance | None = None
        self.outcome: Outcome = Returned(())
        try:
            self.instance = engine.instantiate(e.module_encode(self.shimmed.module))
        except Ended as ended:
            self.outcome = ended.outcome

    def call(self, name: str, args: Sequence[int | None]) -> Outcome:
        """Call an exported function with internal values; what came of it. Raises Died."""
        assert self.instance is not None
        wrapped = self.shimmed.funcs[name]
        try:
            status = self.instance.call(wrapped.export, _words(args, wrapped.type.params))
        except Ended as ended:
            self.outcome = ended.outcome
            return self.outcome
        if status == RETURNED:
            self.outcome = Returned(tuple(map(self._read, wrapped.results)))
        elif status is not None and status >= FIRST_TAG:
            self.outcome = Threw(status - FIRST_TAG, tuple(map(self._read, self.shimmed.payloads[status - FIRST_TAG])))
        else:
            self.outcome = Threw(None)
        return self.outcome

    def get_global(self, name: str) -> Value:
        """The value of an exported global."""
        return self._read(self.shimmed.globals[name])

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        assert self.instance is not None
        return self.instance.memory(self.shimmed.memories[name])

    def _read(self, slot: Slot) -> Value:
        assert self.instance is not None
        words = [self.instance.call(getter, ()) or 0 for getter in slot.getters]
        if isinstance(slot.type, RefType):
            return Value("ref", words[0])
        return Value(slot.type.name, sum(word << 64 * i for i, word in enumerate(words)))


def _words(args: Sequence[int | None], types: Sequence[ValType]) -> list[int]:
    words: list[int] = []
    for value, t in zip(args, types):
        if isinstance(t, NumType):
            assert value is not None
            words += [value & (1 << 64) - 1, value >> 64] if t is V128 else [value]
    return words
