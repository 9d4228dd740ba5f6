"""Reducing: a smaller module that still shows the same difference.

Every step is an edit of the syntax. What is not valid any more is dropped before anybody executes it, so edits need not
care for types: deleting instructions, putting a constant in place of what computes a value, emptying functions, leaving
out exports, segments and start functions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from refwasm import embedding as e
from refwasm.errors import WasmError
from refwasm.oracle.closing import signature, zeros
from refwasm.syntax.instructions import Instr, instr
from refwasm.syntax.modules import Expr, Func, Module, Names, func_types, subtypes

Interesting = Callable[[Module], bool]

#: Questions asked of one module at most.
MOST_QUESTIONS = 2_000
#: What a value may be replaced by, from the simplest on.
_CONSTANTS = tuple(instr(f"{t}.const", 0) for t in ("i32", "i64", "f32", "f64", "v128"))


#: Instructions that open a block.
_OPENERS = frozenset({"block", "loop", "if", "try_table"})


def is_nested(body: Expr) -> bool:
    """Whether blocks are inside each other, and the last ``end`` is the body's. (Validation trusts the formats in
    that.)"""
    open_blocks = ["func"]
    for instruction in body:
        name = instruction.form.mnemonic
        if not open_blocks or (name == "else" and open_blocks[-1] != "if"):
            return False
        if name in _OPENERS:
            open_blocks.append(name)
        elif name == "else":
            open_blocks[-1] = "else"
        elif name == "end":
            open_blocks.pop()
    return not open_blocks


class _Spent(Exception):
    """Enough was asked."""


def size(module: Module) -> int:
    """How many instructions the functions of a module have, without their last ``end``."""
    return sum(len(func.body) - 1 for func in module.funcs)


def reduced(module: Module, interesting: Interesting, most: int = MOST_QUESTIONS, until: float = math.inf) -> Module:
    """The smallest module found for which ``interesting`` holds, as it does for this one. It is asked about valid
    modules only, at most so many times, ``until`` that time (``time.monotonic``)."""
    return _Reducer(module, interesting, most, until).run()


class _Reducer:
    def __init__(self, module: Module, interesting: Interesting, most: int, until: float) -> None:
        self.module, self.interesting, self.left, self.until = module, interesting, most, until

    def run(self) -> Module:
        """Edit until no edit helps."""
        try:
            self._drop_of("exports")
            self._drop_functions()
            self._keep_what_is_reached()
            while any([self._drop_parts(), self._empty_functions(), self._drop_functions(), self._shorten_functions()]):
                pass
        except _Spent:
            pass
        return self.module

    def _keep_what_is_reached(self) -> None:
        """Empty all functions but those that are needed, many at once at first."""
        types = subtypes(self.module)
        whole = range(len(self.module.funcs))
        size = len(whole)
        while size:
            for start in whole[::size]:
                funcs = list(self.module.funcs)
                for index in whole[start : start + size]:
                    body = zeros(signature(types, funcs[index].type).results)
                    if len(funcs[index].body) > len(body):
                        funcs[index] = Func(funcs[index].type, (), body)
                if tuple(funcs) != self.module.funcs:
                    self._try(self.module._replace(funcs=tuple(funcs)))
            size //= 4

    def _try(self, candidate: Module) -> bool:
        """Take an edited module if it is valid and still interesting."""
        candidate = candidate._replace(digest=b"", names=Names(), branch_hints=(), locate=None)
        if not all(is_nested(func.body) for func in candidate.funcs):
            return False
        try:
            e.module_validate(candidate)
        except WasmError:
            return False
        if not self.left or time.monotonic() > self.until:
            raise _Spent
        self.left -= 1
        if not self.interesting(candidate):
            return False
        self.module = candidate
        return True

    def _drop_parts(self) -> bool:
        """Leave out exports, segments, the start function, custom sections."""
        found = False
        for name in ("exports", "datas", "elems", "customs"):
            found |= self._drop_of(name)
        for drop in _WITHOUT:
            candidate = drop(self.module)
            found |= candidate != self.module and self._try(candidate)
        if self.module.start is not None:
            found |= self._try(self.module._replace(start=None))
        return found

    def _drop_of(self, name: str) -> bool:
        """Leave out parts of a kind, many at once at first."""
        found = False
        size = len(getattr(self.module, name))
        while size:
            index = 0
            while index < len(getattr(self.module, name)):
                parts = getattr(self.module, name)
                if self._try(self.module._replace(**{name: parts[:index] + parts[index + size :]})):
                    found = True
                else:
                    index += size
            size //= 2
        return found

    def _drop_functions(self) -> bool:
        """Leave out functions that nobody mentions, all at once if that works."""
        unused = _unused(self.module)
        if not unused:
            return False
        if self._try(_without_functions(self.module, unused)):
            return True
        return any([self._try(_without_functions(self.module, {index})) for index in sorted(unused, reverse=True)])

    def _with_body(self, index: int, body: Expr) -> Module:
        funcs, func = list(self.module.funcs), self.module.funcs[index]
        used = any("local" in i.form.immediates for i in body)
        funcs[index] = Func(func.type, func.locals if used else (), body)
        return self.module._replace(funcs=tuple(funcs))

    def _empty_functions(self) -> bool:
        """Let functions return zeros at once."""
        found = False
        types = subtypes(self.module)
        for index, func in enumerate(self.module.funcs):
            body = zeros(signature(types, func.type).results)
            if len(func.body) > len(body):
                found |= self._try(self._with_body(index, body))
        return found

    def _shorten_functions(self) -> bool:
        """Delete pieces of bodies, the largest first, or put a constant in their place."""
        found = False
        for index in range(len(self.module.funcs)):
            length = len(self.module.funcs[index].body) - 1
            while length:
                for shorter in self._pieces(index, length):
                    if self._try(self._with_body(index, shorter)):
                        found = True
                        break
                else:
                    length = length // 2 if length > 8 else length - 1
                length = min(length, len(self.module.funcs[index].body) - 1)
        return found

    def _pieces(self, index: int, length: int) -> Iterator[Expr]:
        """Bodies with nothing, a constant or a parameter in place of a piece of that length."""
        func = self.module.funcs[index]
        body, params = func.body, signature(subtypes(self.module), func.type).params
        simple = (*_CONSTANTS, *(instr("local.get", i) for i in range(len(params))))
        step = 1 if length <= 8 else max(length // 2, 1)
        for start in range(0, len(body) - length, step):
            rest = body[start + length :]
            yield body[:start] + rest
            if length > 1 or body[start] not in simple:
                for value in simple:
                    yield (*body[:start], value, *rest)


#: All of a kind left out.
_WITHOUT: tuple[Callable[[Module], Module], ...] = (
    lambda module: module._replace(memories=()), lambda module: module._replace(tables=()),
    lambda module: module._replace(globals=()), lambda module: module._replace(tags=()),
)  # fmt: skip
#: Instructions whose operand is the index of a function.
_MENTIONS = frozenset({"call", "return_call", "ref.func"})


def _unused(module: Module) -> set[int]:
    """The module's own functions that nothing mentions; none if there are element segments."""
    if module.elems:
        return set()
    imported = len(func_types(module)) - len(module.funcs)
    used = {export.index for export in module.exports if export.kind == "func"} | {module.start}
    for body in [*(func.body for func in module.funcs), *(g.init for g in module.globals)]:
        used |= {i.args[0] for i in body if i.form.mnemonic in _MENTIONS}
    return set(range(imported, imported + len(module.funcs))) - used


def _without_functions(module: Module, dropped: set[int]) -> Module:
    """The module without functions that nothing mentions."""
    imported = len(func_types(module)) - len(module.funcs)
    kept = [index for index in range(imported + len(module.funcs)) if index not in dropped]
    numbers = {index: number for number, index in enumerate(kept)}

    def moved(i: Instr) -> Instr:
        return instr(i.form.mnemonic, numbers[i.args[0]]) if i.form.mnemonic in _MENTIONS else i

    own = (module.funcs[index - imported] for index in kept if index >= imported)
    return module._replace(
        funcs=tuple(Func(f.type, f.locals, tuple(map(moved, f.body))) for f in own),
        exports=tuple(x._replace(index=numbers[x.index]) if x.kind == "func" else x for x in module.exports),
        start=None if module.start is None else numbers[module.start],
        globals=tuple(g._replace(init=tuple(map(moved, g.init))) for g in module.globals),
    )
