"""A module in an engine, seen through the shim: calls, globals and memories as the oracle sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refwasm import embedding as e
from refwasm.engines.protocol import Ended, Engine, Instance
from refwasm.engines.shim import FIRST_TAG, RETURNED, Shimmed, Slot, Wrapped, shim
from refwasm.oracle.outcomes import Limited, Outcome, Returned, Threw, Value
from refwasm.syntax.types import V128, NumType, RefType, ValType


class Session:
    """An instance of a module in an engine. ``outcome`` is that of the instantiation, or of the last call."""

    def __init__(self, engine: Engine, validated: e.Validated, shimmed: Shimmed | None = None) -> None:
        self.engine = engine
        self.shimmed = shimmed or shim(validated)
        self.instance: Instance | None = None
        self.outcome: Outcome = Returned(())
        try:
            self.instance = engine.instantiate(e.module_encode(self.shimmed.module))
        except Ended as ended:
            self.outcome = ended.outcome

    def call(self, name: str, args: Sequence[int | None]) -> Outcome:
        """Call an exported function with internal values; what came of it. Raises Died."""
        return self.call_all([(name, args)])[0]

    def call_all(self, calls: Sequence[tuple[str, Sequence[int | None]]]) -> list[Outcome]:
        """The outcomes of several calls, one after the other, whatever comes of each. Raises Died."""
        assert self.instance is not None
        made: list[tuple[str, Sequence[Value]]] = []
        for name, args in calls:
            wrapped = self.shimmed.funcs[name]
            made.append((wrapped.export, _words(args, wrapped.type.params)))
            made += [(getter, ()) for slot in wrapped.results for getter in slot.getters]
            if self.shimmed.payloads:  # what an exception carries is overwritten by the next one
                made += [(getter, ()) for slots in self.shimmed.payloads for s in slots for getter in s.getters]
        found = iter(self.instance.call_all(made))
        return [self._outcome(self.shimmed.funcs[name], found) for name, _ in calls]

    def _outcome(self, wrapped: Wrapped, found: Iterator[int | Outcome | None]) -> Outcome:
        """The outcome of a call, from what its wrapper and all its getters gave."""
        status = next(found)
        results = tuple([_value(slot, found) for slot in wrapped.results])
        payloads = [tuple([_value(slot, found) for slot in slots]) for slots in self.shimmed.payloads]
        if status is None or not isinstance(status, int):
            return Limited("a wrapper gave nothing") if status is None else status
        if status == RETURNED:
            return Returned(results)
        return Threw(None) if status < FIRST_TAG else Threw(status - FIRST_TAG, payloads[status - FIRST_TAG])

    def get_global(self, name: str) -> Value:
        """The value of an exported global."""
        return self._read(self.shimmed.globals[name])

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        assert self.instance is not None
        return self.instance.memory(self.shimmed.memories[name])

    def _read(self, slot: Slot) -> Value:
        assert self.instance is not None
        return _value(slot, iter(self.instance.call_all([(getter, ()) for getter in slot.getters])))


def _value(slot: Slot, found: Iterator[int | Outcome | None]) -> Value:
    """A value from its words, the lower first."""
    mask = (1 << 32) - 1 if not isinstance(slot.type, NumType) or slot.type.bits == 32 else (1 << 64) - 1
    words = [word & mask if isinstance(word, int) else 0 for word in (next(found) for _ in slot.getters)]
    if isinstance(slot.type, RefType):
        return Value("ref", words[0])
    return Value(slot.type.name, sum(word << 64 * i for i, word in enumerate(words)))


def _words(args: Sequence[int | None], types: Sequence[ValType]) -> list[Value]:
    words: list[Value] = []
    for value, t in zip(args, types):
        if isinstance(t, NumType):
            assert value is not None
            halves = [value & (1 << 64) - 1, value >> 64] if t is V128 else [value]
            words += [Value("i32" if t.bits == 32 else "i64", half) for half in halves]
    return words
