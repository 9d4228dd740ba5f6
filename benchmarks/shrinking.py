"""How small what the strategies draw shrinks: 30 predicates, each with the smallest example that exists.

The smallest examples stand here as text, and are tried: a predicate must hold for its own. Sizes are numbers of
instructions, with each function's ``end``; of programs of threads, of accesses. Calls of modules end: they do not call
themselves. Examples in which the instruction that
is looked for stands where nothing can be reached (behind ``unreachable`` it needs no operands) are left aside.
"""

from __future__ import annotations

import fnmatch
import random
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

from refwasm import embedding as e
from refwasm.concurrency import explore
from refwasm.oracle import Oracle
from refwasm.oracle.outcomes import Returned
from refwasm.strategies import Access, DrawnModule, ThreadProgram, modules, threads
from refwasm.syntax.instructions import END, FORMS, instr
from refwasm.syntax.modules import Elem, Expr
from refwasm.syntax.types import NumType, RefType
from refwasm.validation.features import ALL

Predicate = Callable[[Any], bool]
_ORACLE = Oracle()


class Goal(NamedTuple):
    """What is looked for in the values of a strategy, and the smallest value for which it holds."""

    name: str
    holds: Predicate
    least: DrawnModule | ThreadProgram
    strategy: SearchStrategy[Any]


def size(found: DrawnModule | ThreadProgram) -> int:
    """Instructions, or accesses."""
    if isinstance(found, ThreadProgram):
        return sum(map(len, found.threads))
    return sum(len(func.body) for func in found.module.funcs)


# ---- predicates -----------------------------------------------------------------------------------------------------


def _has(*names: str) -> Predicate:
    return lambda m: set(names) <= {i.form.mnemonic for f in m.module.funcs for i in f.body}


def _in_a_row(*names: str) -> Predicate:
    """One instruction takes what the one before leaves."""

    def holds(m: DrawnModule) -> bool:
        rows = ([i.form.mnemonic for i in f.body] for f in m.module.funcs)
        return any(row[k : k + len(names)] == list(names) for row in rows for k in range(len(row)))

    return holds


def _outcomes(m: DrawnModule, number: int = 0) -> dict[str, Any]:
    """What calls of all functions come to in turn. Arguments are that number, and null."""
    case = _ORACLE.instantiate(m.bytes)
    if case.now is None or case.now.instance is None:
        return {}
    args = {name: [number if isinstance(p, NumType) else None for p in t.params] for name, t in case.types.items()}
    return {name: case.call(name, values) for name, values in args.items()}


def _traps(kind: str) -> Predicate:
    return lambda m: any(kind in repr(outcome) for outcome in _outcomes(m).values())


def _traps_on_condition(m: DrawnModule) -> bool:
    """A function reaches ``unreachable`` with some arguments and returns with others."""
    first, second = _outcomes(m), _outcomes(m, 1)
    told = [{isinstance(o, Returned): repr(o) for o in (outcome, second[name])} for name, outcome in first.items()]
    return any(len(both) == 2 and "trap: unreachable" in both[False] for both in told)


def _elements_matter(m: DrawnModule) -> bool:
    """A call comes to something else when all elements of all segments are null."""
    elems = [
        elem._replace(type=RefType(True, elem.type.heap), inits=(_null(elem),) * len(elem.inits))
        for elem in m.module.elems
    ]
    without = DrawnModule(m.module._replace(elems=tuple(elems)))
    if without == m:
        return False
    after = _outcomes(without)
    return bool(after) and repr(_outcomes(m)) != repr(after)


def _null(elem: Elem) -> Expr:
    return (instr("ref.null", elem.type.heap), END)


def _lane(m: DrawnModule) -> bool:
    """The last lane is replaced."""
    return any(i == instr("i16x8.replace_lane", 7) for f in m.module.funcs for i in f.body)


def _races(program: ThreadProgram) -> bool:
    return bool(explore(program.wast(), races=True, seconds=5).races)


# ---- goals ----------------------------------------------------------------------------------------------------------

_USUAL, _TRAPPING = modules(), modules(traps="allowed")


def _module(text: str) -> DrawnModule:
    """A module of one function and what it needs."""
    exported = text.replace("(func ", '(func (export "f") ', 1)
    return DrawnModule(e.module_parse(f"(module {exported})"))


def _occurs(name: str, text: str) -> Goal:
    """One instruction, or several of any order."""
    return Goal(name, _has(*name.split(", ")), _module(text), _USUAL)


GOALS = (
    _occurs("i64.rotl", "(func (param i64) (result i64) local.get 0 local.get 0 i64.rotl)"),
    _occurs("i8x16.shuffle", "(func (param v128) (result v128) local.get 0 local.get 0"
            " i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)"),
    _occurs("i32.load", "(func (param i32) (result i32) local.get 0 i32.load) (memory 1)"),
    _occurs("i64.store8", "(func (param i32 i64) local.get 0 local.get 1 i64.store8) (memory 1)"),
    _occurs("memory.fill", "(func (param i32) local.get 0 local.get 0 local.get 0 memory.fill) (memory 1)"),
    _occurs("table.init", "(func (param i32) local.get 0 local.get 0 local.get 0 table.init 0)"
            " (table 1 funcref) (elem func)"),
    _occurs("br_table", "(func (param i32) local.get 0 br_table 0)"),
    _occurs("br_if", "(func (param i32) local.get 0 br_if 0)"),
    _occurs("loop", "(func loop end)"),
    _occurs("call", "(func call 1) (func)"),
    _occurs("call_indirect", "(func (param i32) local.get 0 call_indirect) (func) (table 1 funcref)"),
    _occurs("ref.cast", "(func (param anyref) (result (ref i31)) local.get 0 ref.cast (ref i31))"),
    _occurs("struct.new", "(type $t (struct)) (func (result (ref $t)) struct.new $t)"),
    _occurs("array.set", "(type $t (array (mut i32)))"
            " (func (param (ref $t) i32) local.get 0 local.get 1 local.get 1 array.set $t)"),
    _occurs("try_table", "(func try_table end)"),
    _occurs("throw", "(func throw 0) (tag)"),
    _occurs("i64.add128", "(func (param i64) (result i64 i64)"
            " local.get 0 local.get 0 local.get 0 local.get 0 i64.add128)"),
    _occurs("i32.atomic.rmw.add", "(func (param i32) (result i32)"
            " local.get 0 local.get 0 i32.atomic.rmw.add) (memory 1)"),
    _occurs("return_call", "(func return_call 1) (func)"),
    _occurs("i64.rotl, i32.clz", "(func (param i64 i32) (result i64 i32)"
            " local.get 0 local.get 0 i64.rotl local.get 1 i32.clz)"),
    _occurs("f64.mul, memory.grow", "(func (param f64 i32) (result f64 i32)"
            " local.get 0 local.get 0 f64.mul local.get 1 memory.grow) (memory 1)"),
    Goal("i32.add then i32.ctz", _in_a_row("i32.add", "i32.ctz"),
         _module("(func (param i32) (result i32) local.get 0 local.get 0 i32.add i32.ctz)"), _USUAL),
    Goal("i32.wrap_i64 then if", _in_a_row("i32.wrap_i64", "if"),
         _module("(func (param i64) local.get 0 i32.wrap_i64 if end)"), _USUAL),
    Goal("a memory trap", _traps("trap: memory-access"),
         _module("(func (param i32) (result i32) local.get 0 i32.load) (memory 0)"), _TRAPPING),
    Goal("a cast that fails", _traps("trap: cast"),
         _module("(func (param anyref) (result (ref i31)) local.get 0 ref.cast (ref i31))"), _TRAPPING),
    Goal("a null reference", _traps("trap: null-reference"),
         _module("(func (param anyref) (result (ref any)) local.get 0 ref.as_non_null)"), _TRAPPING),
    Goal("a trap on condition", _traps_on_condition,
         _module("(func (param i32) local.get 0 br_if 0 unreachable)"), _TRAPPING),
    Goal("elements that matter", _elements_matter,
         _module("(func (param i32) (result funcref) local.get 0 table.get 0) (table funcref (elem 0))"), _USUAL),
    Goal("the last lane", _lane,
         _module("(func (param v128 i32) (result v128) local.get 0 local.get 1 i16x8.replace_lane 7)"), _USUAL),
    Goal("a race", _races, ThreadProgram([[Access("store", value=1)]] * 2, 3, False), threads()),
)  # fmt: skip


# ---- every instruction ----------------------------------------------------------------------------------------------

#: How many instructions the smallest function has that holds an instruction whose type is not in the table of forms:
#: its operands by one instruction each, and ``end``.
_SMALLEST = {
    name: size
    for size, names in {
        1: "end",
        2: "unreachable; br; return; call; local.get; global.get; memory.size; data.drop; elem.drop; table.size;"
           " return_call; throw; struct.new; struct.new_default; array.new_fixed",
        3: "block; loop; try_table; br_if; br_table; call_indirect; drop; local.set; local.tee; global.set;"
           " memory.grow; table.get; ref.null; ref.is_null; ref.func; return_call_indirect; call_ref; return_call_ref;"
           " ref.as_non_null; br_on_non_null; throw_ref; struct.get; struct.get_s; struct.get_u; array.new_default;"
           " array.len; ref.test; ref.test null; ref.cast; ref.cast null; any.convert_extern; extern.convert_any;"
           " ref.i31; i31.get_s; i31.get_u",
        4: "if; table.set; table.grow; br_on_null; br_on_cast; br_on_cast_fail; ref.eq; struct.set; array.new;"
           " array.new_data; array.new_elem; array.get; array.get_s; array.get_u",
        5: "else; select; select t; memory.init; memory.copy; memory.fill; table.init; table.copy; table.fill;"
           " array.set",
        6: "array.fill; array.init_data; array.init_elem",
        7: "array.copy",
    }.items()
    for name in names.split("; ")
}  # fmt: skip


def every(seeds: int, pattern: str = "*", shown: bool = False) -> None:
    """Print how small each instruction shrinks, of those that stay larger than the smallest function with it."""
    print("instruction, smallest, shrunk, examples until one holds + calls of the predicate to shrink it")
    ratios: list[float] = []
    missed = 0
    for form in (
        form for form in FORMS.values() if form.feature in ALL and fnmatch.fnmatchcase(form.mnemonic, pattern)
    ):
        made = [shrunk(Goal(form.mnemonic, _has(form.mnemonic), GOALS[0].least, _USUAL), seed) for seed in range(seeds)]
        least = _SMALLEST.get(form.mnemonic) or len(form.params or ()) + form.takes_address + 2
        sizes = [size(each.value) for each in made if each.value]
        missed += seeds - len(sizes)
        ratios += [found / least for found in sizes]
        if len(sizes) < seeds or max(sizes) > least:
            print(f"  {form.mnemonic:30} {least:3} {sizes}   {' '.join(map(str, made))}", flush=True)
        for each in made:
            if shown and each.value and size(each.value) > least:
                print(each.value)
    _summary(ratios, missed)


def _summary(ratios: list[float], missed: int) -> None:
    if ratios:
        within = sum(ratio <= 2 for ratio in ratios)
        print(f"  times the smallest: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f};", end=" ")
        print(f"{within} of {len(ratios)} within 2; {missed} not found")


# ---- the measurement ------------------------------------------------------------------------------------------------


#: Examples that are tried until one holds.
EXAMPLES = 20_000


class Shrunk(NamedTuple):
    """What a goal shrinks to, after how many examples the first one was found, and how often the predicate was called
    from there on. Of what was not found, the value is None."""

    value: Any
    examples: int
    calls: int

    def __str__(self) -> str:
        return f"not in {self.examples}" if self.value is None else f"{self.examples}+{self.calls}"


def shrunk(goal: Goal, seed: int) -> Shrunk:
    """Find an example from a seed, and shrink it."""
    told: list[bool] = []

    def recorded(value: Any) -> bool:
        told.append(goal.holds(value))
        return told[-1]

    thorough = settings(
        max_examples=EXAMPLES, phases=list(Phase), database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    try:
        found = find(goal.strategy, recorded, settings=thorough, random=random.Random(seed))
    except NoSuchExample:
        return Shrunk(None, len(told), 0)
    examples = told.index(True) + 1
    return Shrunk(found, examples, len(told) - examples)


def shrinking(seeds: int, pattern: str = "*", shown: bool = False) -> None:
    """Print how small each goal shrinks from some seeds, beside the smallest that exists. What is larger is ``shown``,
    if that is wanted."""
    print("predicate, smallest, shrunk, examples until one holds + calls of the predicate to shrink it")
    ratios: list[list[float]] = []
    calls = missed = 0
    for goal in (goal for goal in GOALS if fnmatch.fnmatchcase(goal.name, pattern)):
        made = [shrunk(goal, seed) for seed in range(seeds)]
        least, sizes = size(goal.least), [size(each.value) if each.value else None for each in made]
        ratios.append([found / least for found in sizes if found])
        missed += sizes.count(None)
        calls = max(calls, *(each.calls for each in made))
        row = " ".join(f"{found or '-':>3}" for found in sizes)
        print(f"  {goal.name:22} {least:3} {row}   {' '.join(map(str, made))}", flush=True)
        for each, found in zip(made, sizes):
            if shown and found and found > least:
                print(each.value)
    if any(ratios):
        every = [ratio for of_goal in ratios for ratio in of_goal]
        medians = max(map(statistics.median, filter(None, ratios)))
        print(f"  times the smallest: median {statistics.median(every):.2f}, worst {max(every):.2f}", end="; ")
        print(f"worst median of a predicate {medians:.2f}; at most {calls} calls; {missed} not found")
