"""The oracle on one module: :class:`Oracle`, :class:`Case`.

A case keeps one execution that shows all that was observed of the engine: its *witness*. At first that is the
deterministic profile's. Where an engine shows something else, the case looks for another witness: executions in which
memories and tables grow or not (:mod:`refwasm.execution.choices`), each with shadow bits, which say what of values and
memories the specification leaves open (:mod:`refwasm.execution.interpreter.shadow`). So a case without a difference
costs what interpreting costs. If there is no witness, the engine differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from refwasm import embedding as e
from refwasm.errors import UncaughtException, WasmError
from refwasm.execution.choices import GROW, Choices, Enumeration
from refwasm.execution.interpreter.shadow import shadowed_store
from refwasm.oracle.closing import closed
from refwasm.oracle.ended import outcome_of
from refwasm.oracle.outcomes import (
    AGREES,
    CLASSES,
    DIFFERS,
    UNDECIDED,
    Byte,
    Outcome,
    Outcomes,
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
#: Executions that are looked at for one verdict, and the kinds of choices that tell them apart.
EXECUTIONS, OPEN = 256, (GROW,)

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
    ``max_memory`` end a case without a verdict; so many ``executions`` are looked at for a witness."""

    def __init__(
        self,
        features: str | frozenset[str] = "all",
        fuel: int = FUEL,
        call_depth: int = CALL_DEPTH,
        max_memory: int = MAX_MEMORY,
        tier: str = "interpret",
        executions: int = EXECUTIONS,
    ) -> None:
        self.features = parse(features) if isinstance(features, str) else features
        self.fuel, self.call_depth, self.max_memory, self.tier = fuel, call_depth, max_memory, tier
        self.executions = executions

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
            wanted = config.get(name, most)
            chosen[name] = min(wanted, most) if isinstance(wanted, int) else most
        for name, feature in SMITH_FEATURES.items():
            chosen[name] = bool(config.get(name, True)) and feature in self.features
        return {**chosen, "memory_max_size_required": True, "table_max_size_required": True,
                "export_everything": True, "shared_everything_threads_enabled": False}  # fmt: skip

    def outcomes(self, source: bytes | str, calls: Sequence[tuple[str, Sequence[int | None]]]) -> Outcomes:
        """What the last of these calls may come to (without any: instantiating the module), over all executions in
        which memories and tables grow or not. Exhaustion may always come instead. Raises what loading raises."""
        return self.executions_of(self.loaded(source), calls)

    def executions_of(self, validated: e.Validated, calls: Sequence[tuple[str, Sequence[int | None]]]) -> Outcomes:
        """The same for a module that was loaded."""
        found: dict[Outcome, str] = {}
        executions = Enumeration(self.executions, OPEN)
        for choices in executions:
            execution = Execution(self, validated, choices)
            for name, args in calls:
                if execution.instance is None:
                    break
                execution.call(name, args)
            found.setdefault(execution.outcome, str(choices))
        return Outcomes(found, executions.complete)

    def loaded(self, source: bytes | str) -> e.Validated:
        """The module, which defines what it would import. Raises Malformed, Invalid, Unclosable."""
        validated = e.module_validate(e.module_load(source), self.features)
        if validated.module.imports:
            validated = e.module_validate(closed(validated.module), self.features)
        return validated

    def store(self, choices: Choices | None = None) -> e.Store:
        """A new store under these limits."""
        settings = e.Settings()
        settings.fuel, settings.call_depth = self.fuel, self.call_depth
        settings.memory_pages = self.max_memory >> 16
        return e.store_init(settings, self.tier, choices=choices)


class Execution:
    """One execution of a case: an instance, or why there is none, and the ``outcome`` of the last call. With
    ``choices`` it has shadow bits."""

    def __init__(self, oracle: Oracle, validated: e.Validated, choices: Choices | None = None) -> None:
        self.store = oracle.store(choices)
        self.fuel = oracle.fuel
        self.shadow = None if choices is None else shadowed_store(self.store)
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

        self.outcome = self._ended(run)
        return self.outcome

    def exports(self) -> dict[str, Any]:
        """What the instance exports."""
        assert self.instance is not None
        return self.instance.exports

    def get_global(self, name: str) -> Value:
        """The value of an exported global."""
        item = self.exports()[name]
        return value_of(item.value, item.type.value)

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        item = self.exports()[name]
        return bytes(item.read(0, item.size() * item.page))

    def open_bits(self, name: str) -> dict[int, int]:
        """The open bits of the bytes of a memory, by address."""
        return {} if self.shadow is None else self.shadow.of(self.exports()[name])


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


class Observation(NamedTuple):
    """Something that an engine showed after so many calls: ``verdict`` judges it by an execution that got there."""

    calls: int
    where: str
    verdict: Callable[[Execution], Verdict]


class Case:
    """A module and the calls so far. What it shows is a set: :meth:`admits` tells whether an observation is in it.
    ``validated`` is the module as it is executed, without imports."""

    def __init__(self, oracle: Oracle, source: bytes | str) -> None:
        self.oracle = oracle
        self.calls: list[tuple[str, tuple[int | None, ...]]] = []
        self.observations: list[Observation] = []
        self.types: dict[str, FuncType] = {}
        self.undecided = ""  # why nothing can be said any more
        self.now: Execution | None = None
        self.outcome = self._begun(source)

    def _begun(self, source: bytes | str) -> Outcome:
        try:
            self.validated = self.oracle.loaded(source)
        except WasmError as error:
            return outcome_of(error)
        self.now = Execution(self.oracle, self.validated)
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
        assert self.now is not None
        return self.now.get_global(name)

    def get_memory(self, name: str) -> bytes:
        """The contents of an exported memory."""
        assert self.now is not None
        return self.now.get_memory(name)

    def reached(self) -> tuple[set[str], int, int]:
        """The instructions that the calls so far got to, by name, and how many of how many that is. (Pieces without
        jumps count as a whole.)"""
        if self.now is None or self.now.instance is None:
            return set(), 0, 0
        names: set[str] = set()
        count = whole = 0
        for func in self.now.instance.funcs:
            if not isinstance(func, e.FuncInst):
                continue
            whole += len(func.func.body)
            if func.code is not None and func.code.ops:
                found = [i.form.mnemonic for i, op in zip(func.func.body, func.code.ops) if op is not None]
                names.update(found)
                count += len(found)
        return names, count, whole

    # ---- verdicts ----------------------------------------------------------------------------------------------------

    def admits(self, observed: Outcome, merges: Sequence[frozenset[str]] = ()) -> Verdict:
        """The verdict on the last call, or on the instantiation."""
        if self.now is None:
            return compare(self.outcome, observed, merges)
        return self._judged("call", lambda execution: compare(execution.outcome, observed, merges))

    def admits_global(self, name: str, observed: Value) -> Verdict:
        """The verdict on an exported global after the last call."""
        return self._judged(f"global {name}", lambda execution: _global_verdict(execution, name, observed))

    def admits_memory(self, name: str, observed: bytes) -> Verdict:
        """The verdict on an exported memory after the last call."""
        return self._judged(f"memory {name}", lambda execution: _memory_verdict(execution, name, observed))

    def _judged(self, where: str, judge: Callable[[Execution], Verdict]) -> Verdict:
        if self.undecided:
            return Verdict(UNDECIDED, where, self.undecided)
        assert self.now is not None
        self.observations.append(Observation(len(self.calls), where, judge))
        verdict = judge(self.now)
        if verdict.kind == DIFFERS:
            verdict = self._another_witness()
        else:
            verdict = verdict._replace(where=where)
        if verdict.kind != AGREES:
            self.undecided = verdict.reason or "there was a difference before"
        return verdict if verdict.kind != AGREES else Verdict(AGREES)

    def _another_witness(self) -> Verdict:
        """Look for an execution that shows all that was observed. If there is none, the verdict tells how the one
        that came farthest differs."""
        executions = Enumeration(self.oracle.executions, OPEN)
        farthest, difference, reason = -1, Verdict(UNDECIDED), ""
        for choices in executions:
            execution, passed, verdict = self._retraced(choices)
            if verdict.kind == AGREES:
                self.now, self.outcome = execution, execution.outcome
                return verdict
            reason = reason or verdict.reason
            if verdict.kind == DIFFERS and passed > farthest:
                farthest, difference = passed, verdict
        if not executions.complete:
            reason = reason or f"over {self.oracle.executions} executions are possible"
        where = self.observations[-1].where
        return Verdict(UNDECIDED, where, reason) if reason else difference

    def _retraced(self, choices: Choices) -> tuple[Execution, int, Verdict]:
        """An execution of the calls so far; how many observations it shows, and the verdict on the next one."""
        execution = Execution(self.oracle, self.validated, choices)
        done = 0
        for passed, observation in enumerate(self.observations):
            for name, args in self.calls[done : observation.calls]:
                if execution.instance is not None:
                    execution.call(name, args)
            done = observation.calls
            verdict = self._seen(execution, observation)
            if verdict.kind != AGREES:
                return execution, passed, verdict._replace(where=observation.where)
        return execution, len(self.observations), Verdict(AGREES)

    def _seen(self, execution: Execution, observation: Observation) -> Verdict:
        """The verdict on an observation; what needs an instance can't be judged without one."""
        if execution.instance is None and (observation.calls or observation.where != "call"):
            return Verdict(DIFFERS, "", "", execution.outcome, "an instance")
        return observation.verdict(execution)


def _global_verdict(execution: Execution, name: str, observed: Value) -> Verdict:
    expected = execution.get_global(name)
    return Verdict(AGREES) if expected.admits(observed) else Verdict(DIFFERS, "", "", expected, observed)


def _memory_verdict(execution: Execution, name: str, observed: bytes) -> Verdict:
    expected = execution.get_memory(name)
    if expected == observed:
        return Verdict(AGREES)
    if len(expected) != len(observed):
        return Verdict(DIFFERS, "", "", f"{len(expected)} bytes", f"{len(observed)} bytes")
    is_open = execution.open_bits(name)
    for at, (a, b) in enumerate(zip(expected, observed)):
        if (a ^ b) & ~is_open.get(at, 0):
            return Verdict(DIFFERS, "", "", Byte(at, a), Byte(at, b))
    return Verdict(AGREES)
