"""One function of a kernel as C statements.

Each place of the operand stack is a variable for each type that stands there: ``s0w`` an i32 at the bottom, ``s1g`` an
f64 above it. Locals are ``l0``, ``l1`` and so on. Blocks become labels, branches ``goto``. A function returns whether
an instruction of it trapped; its results go where the caller's pointers say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from refwasm.host.parallel.devices.device import Unsupported
from refwasm.host.parallel.devices.opencl import memory_access, vectors
from refwasm.host.parallel.devices.opencl.operations import (
    C_TYPES,
    CODE,
    EXPRESSIONS,
    LETTERS,
    TRAPPING,
    WIDE,
)
from refwasm.syntax.instructions import Instr
from refwasm.syntax.modules import Func, Module
from refwasm.syntax.types import BlockType, FuncType, NumType, ValType

#: What a function is given before its parameters: the memory, its size in bytes, and the work-item's state.
GIVEN = "SHARED_BYTES m, u64 size, State *s"
#: Instructions after which nothing is reached in a block.
LEAVING = frozenset({"br", "br_table", "return", "unreachable", "return_call", "return_call_indirect"})


class Signatures(NamedTuple):
    """What a function needs to know of its module: the types of functions and of type indices, what its globals hold,
    and for each table the functions in it (None: no function)."""

    functions: Sequence[FuncType]
    types: Sequence[Any]
    globals: Sequence[str]
    tables: Sequence[Sequence[int | None]]
    same_type: Callable[[int, int], bool]


class Label(NamedTuple):
    """A block that is open: its label in C, where its operands begin, what a branch carries, and whether branches go
    to its beginning."""

    name: str
    height: int
    carried: tuple[str, ...]
    results: tuple[str, ...]
    params: tuple[str, ...]
    is_loop: bool
    alive: bool


def name_of(t: ValType) -> str:
    """A type's name; Unsupported for references."""
    if not isinstance(t, NumType):
        raise Unsupported("references")
    return t.name


class Translation:
    """A function in the making. :meth:`text` is all of it."""

    def __init__(self, module: Module, signatures: Signatures, index: int) -> None:
        self.signatures, self.index = signatures, index
        self.func: Func = module.funcs[index]
        self.module = module
        t = signatures.functions[index]
        self.params = [name_of(p) for p in t.params]
        self.results = [name_of(r) for r in t.results]
        self.locals = [*self.params, *(name_of(t) for count, t in self.func.locals for _ in range(count))]
        self.lines: list[str] = []
        self.stack: list[str] = []
        self.labels: list[Label] = []
        self.used: set[tuple[int, str]] = set()
        self.targets: set[str] = set()
        self.number = 0  # of the instruction in hand
        self.made = 0  # labels
        self.alive = True

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def head(self) -> str:
        """The function's declaration."""
        params = "".join(f", {C_TYPES[t]} p{k}" for k, t in enumerate(self.params))
        results = "".join(f", {C_TYPES[t]} *r{k}" for k, t in enumerate(self.results))
        return f"INSIDE u32 f{self.index}({GIVEN}{params}{results})"

    def text(self) -> str:
        """The function in C."""
        self._open("", self.results, (), False)
        for number, instruction in enumerate(self.func.body):
            self.number = number
            self._translate(instruction)
        locals_ = [
            f"{C_TYPES[t]} l{k} = p{k};" if k < len(self.params) else _zeroed(t, f"l{k}")
            for k, t in enumerate(self.locals)
        ]
        variables = [f"{C_TYPES[t]} s{height}{LETTERS[t]};" for height, t in sorted(self.used)]
        lines = "\n  ".join([*locals_, *variables, *self.lines])
        return f"{self.head()} {{\n  {lines}\n}}"

    def emit(self, line: str) -> None:
        """Add a statement."""
        self.lines.append(line)

    # ---- the operand stack -------------------------------------------------------------------------------------------

    def variable(self, height: int, t: str) -> str:
        """The variable for a place of the stack."""
        self.used.add((height, t))
        return f"s{height}{LETTERS[t]}"

    def push(self, t: str) -> str:
        """The variable of a new place on top."""
        self.stack.append(t)
        return self.variable(len(self.stack) - 1, t)

    def pop(self) -> str:
        """The variable of the place on top, which is gone."""
        t = self.stack.pop()
        return self.variable(len(self.stack), t)

    def pop_many(self, count: int) -> list[str]:
        """The variables of the places on top, the lowest first."""
        return [self.pop() for _ in range(count)][::-1]

    def trap(self, message: str) -> str:
        """A statement that traps at this instruction."""
        return f"{{ trap(s, {CODE[message]}, {self.index}, {self.number}); return 1; }}"

    # ---- instructions ------------------------------------------------------------------------------------------------

    def _translate(self, instruction: Instr) -> None:
        name = instruction.form.mnemonic
        if not self.alive:
            self._skip(name)
            return
        method = getattr(self, "_do_" + name.replace(".", "_").replace(" ", "_"), None)
        if method is not None:
            method(*instruction.args)
        elif name in EXPRESSIONS:
            self._expression(instruction, EXPRESSIONS[name])
        elif name in TRAPPING:
            conditions, text = TRAPPING[name]
            self._expression(instruction, text, conditions)
        elif name in WIDE:
            self._wide(WIDE[name], len(instruction.form.params or ()))
        elif instruction.form.is_const:
            t = name.removesuffix(".const")
            self.emit(f"{self.push(t)} = {constant(t, instruction.args[0])};")
        elif not memory_access.translate(self, instruction) and not vectors.translate(self, instruction):
            raise Unsupported(f"instruction {name}")

    def _skip(self, name: str) -> None:
        """What can't be reached is left out, but blocks are counted."""
        if name in ("block", "loop", "if", "try_table"):
            self.labels.append(Label("", 0, (), (), (), False, False))
        elif name == "else" and self.labels[-1].alive:
            self._do_else()
        elif name == "end":
            if self.labels[-1].alive:
                self._do_end()
            else:
                self.labels.pop()

    def _expression(
        self, instruction: Instr, text: str, conditions: Sequence[tuple[str, str]] = ()
    ) -> None:  # fmt: skip
        form = instruction.form
        assert form.params is not None and form.results is not None, "operations have types"
        names = self.pop_many(len(form.params))
        given = "".join(f"{C_TYPES[repr(t)]} {letter} = {name}; " for t, letter, name in zip(form.params, "abc", names))
        checks = "".join(f"if ({condition}) {self.trap(message)} " for condition, message in conditions)
        self.emit(f"{{ {given}{checks}{self.push(repr(form.results[0]))} = {text}; }}")

    def _wide(self, text: str, count: int) -> None:
        given = "".join(f"u64 {letter} = {name}; " for letter, name in zip("abcd", self.pop_many(count)))
        low, high = self.push("i64"), self.push("i64")
        self.emit(f"{{ u64 lo, hi; {given}{text} {low} = lo; {high} = hi; }}")

    # ---- control -----------------------------------------------------------------------------------------------------

    def _types(self, t: BlockType) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if t.index is None:
            return (), () if t.result is None else (name_of(t.result),)
        composite = self.signatures.types[t.index].composite
        return tuple(map(name_of, composite.params)), tuple(map(name_of, composite.results))

    def _open(self, name: str, results: Sequence[str], params: Sequence[str], is_loop: bool) -> None:
        self.made += 1
        height = len(self.stack) - len(params)
        carried = tuple(params if is_loop else results)
        self.labels.append(
            Label(name or f"L{self.made}", height, carried, tuple(results), tuple(params), is_loop, True)
        )

    def _do_nop(self) -> None:
        pass

    def _do_block(self, t: BlockType) -> None:
        params, results = self._types(t)
        self._open("", results, params, False)

    def _do_loop(self, t: BlockType) -> None:
        params, results = self._types(t)
        self._open("", results, params, True)
        self.emit(f"{self.labels[-1].name}: ;")

    def _do_if(self, t: BlockType) -> None:
        condition = self.pop()
        params, results = self._types(t)
        self._open("", results, params, False)
        name = self.labels[-1].name
        self.emit(f"if (!{condition}) goto {name}_else;")
        self.targets.add(f"{name}_else")

    def _do_else(self) -> None:
        label = self.labels[-1]
        if self.alive:
            self._jump(label)
        self.emit(f"{label.name}_else: ;")
        self.targets.discard(f"{label.name}_else")
        self.stack[label.height :] = label.params
        self.alive = True

    def _do_end(self) -> None:
        label = self.labels.pop()
        if not self.labels:  # of the function
            if self.alive:
                self._return()
            if label.name in self.targets:
                self.emit(f"{label.name}: ;")
                self.stack[label.height :] = label.results
                self._return()
            return
        if f"{label.name}_else" in self.targets:  # an if without else: operands go through
            self.emit(f"{label.name}_else: ;")
            self.alive = True
        if not label.is_loop and label.name in self.targets:
            self.emit(f"{label.name}: ;")
            self.alive = True
        if self.alive:
            self.stack[label.height :] = label.results

    def _moves(self, label: Label) -> str:
        """Bring what a branch carries to where the block wants it."""
        count, top = len(label.carried), len(self.stack)
        pairs = zip(range(top - count, top), range(label.height, label.height + count), label.carried)
        return " ".join(
            f"{self.variable(target, t)} = {self.variable(source, t)};" for source, target, t in pairs
            if source != target
        )  # fmt: skip

    def _branch(self, label: Label) -> str:
        self.targets.add(label.name)
        return f"{self._moves(label)} goto {label.name};".strip()

    def _jump(self, label: Label) -> None:
        self.emit(self._branch(label))

    def _do_br(self, depth: int) -> None:
        self._jump(self.labels[-1 - depth])
        self.alive = False

    def _do_br_if(self, depth: int) -> None:
        condition = self.pop()
        self.emit(f"if ({condition}) {{ {self._branch(self.labels[-1 - depth])} }}")

    def _do_br_table(self, labels: Sequence[int], default: int) -> None:
        index = self.pop()
        by_label: dict[int, list[int]] = {}
        for number, depth in enumerate(labels):
            if depth != default:
                by_label.setdefault(depth, []).append(number)
        cases = "".join(
            f"{' '.join(f'case {n}:' for n in numbers)} {{ {self._branch(self.labels[-1 - depth])} }} "
            for depth, numbers in by_label.items()
        )
        self.emit(f"switch ({index}) {{ {cases}default: {{ {self._branch(self.labels[-1 - default])} }} }}")
        self.alive = False

    def _return(self) -> None:
        count = len(self.results)
        names = [self.variable(len(self.stack) - count + k, t) for k, t in enumerate(self.results)]
        stores = " ".join(f"*r{k} = {name};" for k, name in enumerate(names))
        self.emit(f"{stores} return 0;".strip())
        self.alive = False

    def _do_return(self) -> None:
        self._return()

    def _do_unreachable(self) -> None:
        self.emit(self.trap("unreachable"))
        self.alive = False

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _call(self, function: int, names: Sequence[str], results: Sequence[str]) -> str:
        """A statement that calls a function, and returns if it trapped."""
        args = "".join(f", {name}" for name in names) + "".join(f", &{name}" for name in results)
        frame = f"{{ frame(s, {self.index}, {self.number}); return 1; }}"
        return f"if (f{function}(m, size, s{args})) {frame}"

    def _do_call(self, function: int) -> None:
        t = self.signatures.functions[function]
        names = self.pop_many(len(t.params))
        results = [self.push(name_of(r)) for r in t.results]
        self.emit(self._call(function, names, results))

    def _do_return_call(self, function: int) -> None:
        self._do_call(function)
        self._return()

    def _do_call_indirect(self, type_index: int, table: int) -> None:
        t: FuncType = self.signatures.types[type_index].composite
        index = self.pop()
        names = self.pop_many(len(t.params))
        held = self.signatures.tables[table]
        results = [self.push(name_of(r)) for r in t.results]
        self.emit(f"if ({index} >= {len(held)}u) {self.trap('undefined element')}")
        self.emit(f"switch ({index}) {{ {''.join(self._cases(held, type_index, names, results))}}}")

    def _cases(
        self, held: Sequence[int | None], type_index: int, names: Sequence[str], results: Sequence[str]
    ) -> Iterator[str]:
        positions: dict[int, list[int]] = {}
        for position, function in enumerate(held):
            if function is not None:
                positions.setdefault(function, []).append(position)
        wrong: list[int] = []
        for function, where in positions.items():
            if self.signatures.same_type(function, type_index):
                yield f"{' '.join(f'case {n}:' for n in where)} {self._call(function, names, results)} break; "
            else:
                wrong += where
        if wrong:
            yield f"{' '.join(f'case {n}:' for n in wrong)} {self.trap('indirect call type mismatch')} "
        yield f"default: {self.trap('uninitialized element')} "

    def _do_return_call_indirect(self, type_index: int, table: int) -> None:
        self._do_call_indirect(type_index, table)
        self._return()

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _do_drop(self) -> None:
        self.pop()

    def _do_select(self) -> None:
        condition = self.pop()
        t = self.stack[-1]
        second, first = self.pop(), self.pop()
        result = self.push(t)
        self.emit(f"if (!{condition}) {result} = {second};" if first == result else "")

    def _do_select_t(self, types: Any) -> None:
        self._do_select()

    def _do_local_get(self, index: int) -> None:
        self.emit(f"{self.push(self.locals[index])} = l{index};")

    def _do_local_set(self, index: int) -> None:
        self.emit(f"l{index} = {self.pop()};")

    def _do_local_tee(self, index: int) -> None:
        self.emit(f"l{index} = {self.variable(len(self.stack) - 1, self.stack[-1])};")

    def _do_global_get(self, index: int) -> None:
        self.emit(f"{self.push(self.signatures.globals[index])} = s->g{index};")

    def _do_global_set(self, index: int) -> None:
        self.emit(f"s->g{index} = {self.pop()};")

    def _do_table_size(self, table: int) -> None:
        self.emit(f"{self.push('i32')} = {len(self.signatures.tables[table])}u;")


def constant(t: str, bits: int) -> str:
    """A constant of a type, from its bits."""
    if t == "v128":
        low, high = bits & (1 << 64) - 1, bits >> 64
        return f"constant128(0x{low:X}ul, 0x{high:X}ul)"
    literal = f"0x{bits:X}u" if t[1:] == "32" else f"0x{bits:X}ul"
    return literal if t[0] == "i" else f"FLOAT{t[1:]}({literal})"


def _zeroed(t: str, name: str) -> str:
    return f"v128 {name} = constant128(0, 0);" if t == "v128" else f"{C_TYPES[t]} {name} = 0;"
