"""A module in an engine, seen through the shim: calls, globals and memories as the oracle sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.engines.protocol import Ended, Engine, Instance
from refwasm.engines.shim import FIRST_TAG, RETURNED, MemorySlot, Shimmed, Slot, Wrapped, shim
from refwasm.engines.shim_memory import contents, words_of
from refwasm.oracle.outcomes import Limited, Outcome, Returned, Threw, Value
from refwasm.syntax.types import V128, NumType, RefType, ValType

Calls = Sequence[tuple[str, Sequence["int | None"]]]
Export = tuple[str, Sequence[Value]]
Found = Iterator["int | Outcome | None"]


class Step(NamedTuple):
    """What an engine shows after so many calls: the outcome of the last one (or of the instantiation), exported
    globals, and each exported memory, or a number for its contents (:func:`refwasm.engines.shim_memory.hash_of`)."""

    calls: int
    outcome: Outcome
    globals: dict[str, Value]
    memories: dict[str, bytes | int]


class Session:
    """An instance of a module in an engine. ``outcome`` is that of the instantiation."""

    def __init__(self, engine: Engine, module: e.Validated | Shimmed) -> None:
        self.engine = engine
        self.shimmed = module if isinstance(module, Shimmed) else shim(module)
        self.binary = e.module_encode(self.shimmed.module)
        self.instance: Instance | None = None
        self.outcome: Outcome = Returned(())
        try:
            self.instance = engine.instantiate(self.binary)
        except Ended as ended:
            self.outcome = ended.outcome

    # ---- one thing at a time -----------------------------------------------------------------------------------------

    def call(self, name: str, args: Sequence[int | None]) -> Outcome:
        """Call an exported function with internal values; what came of it. Raises Died."""
        return self._outcome(self.shimmed.funcs[name], self._ask(self._call(name, args)))

    def get_global(self, name: str) -> Value:
        """The value of an exported global."""
        slot = self.shimmed.globals[name]
        return _value(slot, self._ask([(getter, ()) for getter in slot.getters]))

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        assert self.instance is not None
        slot = self.shimmed.memories[name]
        found = self.instance.memory(slot.export)
        return self._read(slot) if found is None else found

    def _read(self, slot: MemorySlot) -> bytes:
        """The contents word by word."""
        size = _word(self._ask([(slot.size, ())]))
        words, tail = words_of(size)
        at = [(slot.word, i) for i in words] + [(slot.byte, i) for i in tail]
        found = self._ask([(export, [Value("i64", address)]) for export, address in at])
        pieces = [_word(found) for _ in at]
        return contents(size, pieces[: len(words)], pieces[len(words) :])

    def _ask(self, exports: Sequence[Export]) -> Found:
        assert self.instance is not None
        return iter(self.instance.call_all(exports))

    # ---- step by step ------------------------------------------------------------------------------------------------

    def steps(self, calls: Calls) -> Iterator[Step]:
        """What the engine shows after its instantiation, and after each call; whatever comes of a call, the next one is
        made. An engine that prefers it makes all calls at once when the first step is asked for. Raises Died."""
        if self.engine.batch:
            yield from self._all_steps(calls)
            return
        yield Step(0, self.outcome, *self._seen())
        for number, (name, args) in enumerate(calls, 1):
            outcome = self.call(name, args)
            yield Step(number, outcome, *self._seen())

    def _seen(self) -> tuple[dict[str, Value], dict[str, bytes | int]]:
        globals = {name: self.get_global(name) for name in self.shimmed.globals}
        return globals, {name: self.get_memory(name) for name in self.shimmed.memories}

    def _all_steps(self, calls: Calls) -> Iterator[Step]:
        state = [(getter, ()) for slot in self.shimmed.globals.values() for getter in slot.getters]
        state += [(slot.hash, ()) for slot in self.shimmed.memories.values()]
        wanted: list[Export] = [*state]
        for name, args in calls:
            wanted += [*self._call(name, args), *state]
        found = self._ask(wanted) if wanted else iter(())
        yield Step(0, self.outcome, *self._told(found))
        for number, (name, _) in enumerate(calls, 1):
            outcome = self._outcome(self.shimmed.funcs[name], found)
            yield Step(number, outcome, *self._told(found))

    def _told(self, found: Found) -> tuple[dict[str, Value], dict[str, bytes | int]]:
        globals = {name: _value(slot, found) for name, slot in self.shimmed.globals.items()}
        return globals, {name: _word(found) for name in self.shimmed.memories}

    def memory_after(self, calls: Calls, name: str) -> bytes:
        """The contents of an exported memory after some calls, made in a new instance."""
        again = Session(self.engine, self.shimmed)
        again._ask([export for called, args in calls for export in again._call(called, args)])
        return again.get_memory(name)

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _call(self, name: str, args: Sequence[int | None]) -> list[Export]:
        """The exports to call for a call: its wrapper, then the getters of all that may have come out."""
        wrapped = self.shimmed.funcs[name]
        made: list[Export] = [(wrapped.export, _words(args, wrapped.type.params))]
        made += [(getter, ()) for slot in wrapped.results for getter in slot.getters]
        # what an exception carries is overwritten by the next one
        return made + [(getter, ()) for slots in self.shimmed.payloads for s in slots for getter in s.getters]

    def _outcome(self, wrapped: Wrapped, found: Found) -> Outcome:
        """The outcome of a call, from what its wrapper and all its getters gave."""
        status = next(found)
        results = tuple([_value(slot, found) for slot in wrapped.results])
        payloads = [tuple([_value(slot, found) for slot in slots]) for slots in self.shimmed.payloads]
        if status is None or not isinstance(status, int):
            return Limited("a wrapper gave nothing") if status is None else status
        status &= (1 << 32) - 1
        if status == RETURNED:
            return Returned(results)
        tag = status - FIRST_TAG
        if tag < 0:
            return Threw(None)
        return Threw(tag, payloads[tag]) if tag < len(payloads) else Threw(tag)  # which no sound engine gives


def _word(found: Found) -> int:
    """The next word, 0 if there is none."""
    word = next(found)
    return word & (1 << 64) - 1 if isinstance(word, int) else 0


def _value(slot: Slot, found: Found) -> Value:
    """A value from its words, the lower first."""
    mask = (1 << 32) - 1 if not isinstance(slot.type, NumType) or slot.type.bits == 32 else (1 << 64) - 1
    words = [_word(found) & mask for _ in slot.getters]
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
