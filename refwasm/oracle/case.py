"""The oracle on one module: :class:`Oracle`, :class:`Case`.

A case is executed by the interpreter. Only where an engine shows something else is the same execution repeated with
shadow bits (:mod:`refwasm.execution.interpreter.shadow`), and the rest of the case stays with these: they say which
bits the specification leaves open. So a case without a difference costs what interpreting costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refwasm import embedding as e
from refwasm.errors import UncaughtException, WasmError
from refwasm.execution.interpreter.shadow import shadowed_store
from refwasm.oracle.closing import closed
from refwasm.oracle.ended import outcome_of
from refwasm.oracle.outcomes import (
    AGREES,
    CLASSES,
    DIFFERS,
    UNDECIDED,
    Limited,
    Outcome,
    Returned,
    Threw,
    Value,
    Verdict,
    compare,
)
from refwasm.syntax.types import FuncType, NumType, ValType
from refwasm.validation.features import parse
from refwasm.validation.matching import top_of

#: Instructions of one call.
FUEL = 1_000_000
#: Calls inside each other, and bytes of one memory.
CALL_DEPTH, MAX_MEMORY = 2_000, 64 << 20

#: Switches of wasm-smith's configuration, and the features that they need.
SMITH_FEATURES = {
    "bulk_memory_enabled": "bulk-memory", "exceptions_enabled": "exception-handling", "gc_enabled": "gc",
    "memory64_enabled": "memory64", "multi_value_enabled": "multi-value",
    "reference_types_enabled": "reference-types", "relaxed_simd_enabled": "relaxed-simd",
    "saturating_float_to_int_enabled": "nontrapping-fptoint", "sign_extension_ops_enabled": "sign-extension",
    "simd_enabled": "simd", "tail_call_enabled": "tail-call", "threads_enabled": "threads",
    "extended_const_enabled": "extended-const", "custom_page_sizes_enabled": "custom-page-sizes",
    "custom_descriptors_enabled": "custom-descriptors", "wide_arithmetic_enabled": "wide-arithmetic",
}  # fmt: skip


class Oracle:
    """Judges engines. ``features`` is what modules may use, as a text or a set; ``fuel``, ``call_depth`` and
    ``max_memory`` end a case without a verdict."""

    def __init__(
        self,
        features: str | frozenset[str] = "all",
        fuel: int = FUEL,
        call_depth: int = CALL_DEPTH,
        max_memory: int = MAX_MEMORY,
        tier: str = "interpret",
    ) -> None:
        self.features = parse(features) if isinstance(features, str) else features
        self.fuel, self.call_depth, self.max_memory, self.tier = fuel, call_depth, max_memory, tier

    def instantiate(self, source: bytes | str) -> Case:
        """A case: the module (in either format), instantiated with defaults for what it imports."""
        return Case(self, source)

    def configure(self, config: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a generator (wasm-smith's field names) with everything switched off that the oracle
        can't judge: memories and tables that it would refuse, imports, components, features that it does not have."""
        limits = {
            "max_memory32_bytes": self.max_memory, "max_memory64_bytes": self.max_memory, "max_table_elements": 100_000,
            "max_imports": 0,
        }  # fmt: skip
        chosen = {**config}
        for name, most in limits.items():
            chosen[name] = min(config.get(name, most), most)
        for name, feature in SMITH_FEATURES.items():
            chosen[name] = bool(config.get(name, True)) and feature in self.features
        return {**chosen, "memory_max_size_required": True, "table_max_size_required": True,
                "export_everything": True, "shared_everything_threads_enabled": False}  # fmt: skip

    def store(self, shadowed: bool = False) -> e.Store:
        """A new store under these limits."""
        settings = e.Settings()
        settings.fuel, settings.call_depth = self.fuel, self.call_depth
        settings.memory_pages = self.max_memory >> 16
        return e.store_init(settings, "interpret" if shadowed else self.tier)


class Instantiated:
    """One execution of a case: an instance, or why there is none."""

    def __init__(self, oracle: Oracle, validated: e.Validated, shadowed: bool) -> None:
        self.store = oracle.store(shadowed)
        self.fuel = oracle.fuel
        self.shadow = shadowed_store(self.store) if shadowed else None
        self.instance: e.ModuleInst | None = None
        self.outcome = self._ended(lambda: self._instantiate(validated))

    def _instantiate(self, validated: e.Validated) -> Outcome:
        self.instance = e.module_instantiate(self.store, validated, [])
        return Returned(())

    def _ended(self, run: Callable[[], Outcome]) -> Outcome:
        """What a run comes to."""
        self.store.settings.fuel = self.fuel
        try:
            return run()
        except UncaughtException as error:
            return self._threw(error)
        except WasmError as error:
            return outcome_of(error)

    def _threw(self, error: UncaughtException) -> Outcome:
        exception: Any = error.exception
        tags = self.instance.tags if self.instance is not None else []
        number = next((i for i, tag in enumerate(tags) if tag is exception.tag), None)
        types = exception.tag.signature.params
        return Threw(number, tuple(map(value_of, exception.payload, types)) if number is not None else ())

    def call(self, name: str, args: Sequence[int | None]) -> Outcome:
        """Call an exported function."""
        assert self.instance is not None
        func: Any = self.instance.exports[name]

        def run() -> Outcome:
            results = e.func_invoke(self.store, func, args)
            return Returned(tuple(map(value_of, results, func.signature.results)))

        return self._ended(run)


def value_of(value: Any, t: ValType) -> Value:
    """A value as a host sees it."""
    if isinstance(t, NumType):
        return Value(t.name, int(value), getattr(value, "mask", 0))
    return Value("ref", CLASSES.index(class_of(value, t)))


def class_of(value: Any, t: ValType) -> str:
    """The class of a reference of a static type."""
    if value is None:
        return "null"
    assert not isinstance(t, NumType)
    top = top_of(t.heap)
    if top != "any":
        return top
    if isinstance(value, e.I31):
        return "i31"
    return "struct" if isinstance(value, e.StructInst) else "array" if isinstance(value, e.ArrayInst) else "null"


class Case:
    """A module and the calls so far. What it shows is a set: :meth:`admits` tells whether an observation is in it.
    ``validated`` is the module as it is executed, without imports."""

    def __init__(self, oracle: Oracle, source: bytes | str) -> None:
        self.oracle = oracle
        self.calls: list[tuple[str, tuple[int | None, ...]]] = []
        self.types: dict[str, FuncType] = {}
        self.undecided = ""  # why nothing can be said any more
        self.now: Instantiated | None = None
        self.outcome = self._begun(source)

    def _begun(self, source: bytes | str) -> Outcome:
        try:
            self.validated = e.module_validate(e.module_load(source), self.oracle.features)
            if self.validated.module.imports:
                self.validated = e.module_validate(closed(self.validated.module), self.oracle.features)
        except WasmError as error:
            return outcome_of(error)
        self.now = Instantiated(self.oracle, self.validated, False)
        if self.now.instance is not None:
            for name, item in self.now.instance.exports.items():
                if isinstance(item, e.FuncInst):
                    self.types[name] = item.signature
        return self.now.outcome

    def call(self, name: str, args: Sequence[int | None]) -> Outcome:
        """Call an exported function with internal values (unsigned bits; None for null)."""
        if self.now is None or self.now.instance is None:
            raise ValueError("there is no instance: the outcome of the case says why")
        if name not in self.types:
            raise ValueError(f"there is no exported function {name!r}")
        self.calls.append((name, tuple(args)))
        self.outcome = self.now.call(name, args)
        return self.outcome

    def names(self, kind: str) -> list[str]:
        """The names of what is exported: "func", "global" or "memory"."""
        if self.now is None or self.now.instance is None:
            return []
        wanted = {"func": e.FuncInst, "global": e.GlobalInst, "memory": e.Memory}[kind]
        return [name for name, item in self.now.instance.exports.items() if isinstance(item, wanted)]

    def get_global(self, name: str) -> Value:
        """The value of an exported global."""
        item: Any = self._exports()[name]
        return value_of(item.value, item.type.value)

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        item: Any = self._exports()[name]
        return bytes(item.read(0, item.size() * item.page))

    def _exports(self) -> Any:
        assert self.now is not None and self.now.instance is not None
        return self.now.instance.exports

    # ---- verdicts ----------------------------------------------------------------------------------------------------

    def admits(self, observed: Outcome, merges: Sequence[frozenset[str]] = ()) -> Verdict:
        """The verdict on the last call, or on the instantiation."""
        return self._judged("call", lambda: compare(self.outcome, observed, merges))

    def admits_global(self, name: str, observed: Value) -> Verdict:
        """The verdict on an exported global after the last call."""
        return self._judged(f"global {name}", lambda: self._global_verdict(name, observed))

    def admits_memory(self, name: str, observed: bytes) -> Verdict:
        """The verdict on an exported memory after the last call."""
        return self._judged(f"memory {name}", lambda: self._memory_verdict(name, observed))

    def _judged(self, where: str, judge: Callable[[], Verdict]) -> Verdict:
        if self.undecided:
            return Verdict(UNDECIDED, where, self.undecided)
        verdict = judge()
        if verdict.kind == DIFFERS and self._shadowed():
            verdict = Verdict(UNDECIDED, where, self.undecided) if self.undecided else judge()
        return verdict if verdict.kind == AGREES else self._concluded(verdict._replace(where=where))

    def _global_verdict(self, name: str, observed: Value) -> Verdict:
        expected = self.get_global(name)
        return Verdict(AGREES) if expected.admits(observed) else Verdict(DIFFERS, "", "", expected, observed)

    def _memory_verdict(self, name: str, observed: bytes) -> Verdict:
        expected = self.get_memory(name)
        if expected == observed:
            return Verdict(AGREES)
        if len(expected) != len(observed):
            return Verdict(DIFFERS, "", "", f"{len(expected)} bytes", f"{len(observed)} bytes")
        item: Any = self._exports()[name]
        shadow = self.now.shadow if self.now is not None else None
        is_open = shadow.of(item) if shadow is not None else frozenset()
        for at, (a, b) in enumerate(zip(expected, observed)):
            if a != b and at not in is_open:
                return Verdict(DIFFERS, "", "", f"{a:#04x} at {at:#x}", f"{b:#04x} at {at:#x}")
        return Verdict(AGREES)

    def _concluded(self, verdict: Verdict) -> Verdict:
        """The verdict that ends the case: undecided if something happened that an engine need not do."""
        shadow = self.now.shadow if self.now is not None else None
        if verdict.kind == DIFFERS and shadow is not None and shadow.grew:
            verdict = Verdict(UNDECIDED, verdict.where, "a memory or table grew, which an engine may refuse")
        self.undecided = verdict.reason or "there was a difference before"
        return verdict

    def _shadowed(self) -> bool:
        """Repeat the execution so far with shadow bits; whether that was not done before."""
        if self.now is None or self.now.shadow is not None:
            return False
        self.now = Instantiated(self.oracle, self.validated, True)
        self.outcome = self.now.outcome
        for name, args in self.calls:
            if self.now.instance is None:
                break
            self.outcome = self.now.call(name, args)
            if isinstance(self.outcome, Limited):
                self.undecided = f"the oracle: {self.outcome!r}"
                break
        return True
