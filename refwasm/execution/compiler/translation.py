"""One validated function to Python: operands become expressions, blocks Python's own control flow.

:class:`Translation` walks the body once. ``stack`` holds operands (:mod:`.values`); what has an effect is emitted as a
line, after everything that must come before it. Instructions that are not translated raise :class:`Untranslatable`, and
the interpreter runs the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.execution.compiler.control import MAX_DEPTH, ControlFlow, Untranslatable
from refwasm.execution.compiler.source import Source
from refwasm.execution.compiler.structure import OPENERS, Block
from refwasm.execution.compiler.values import Value, constant, in_template, local, marked, name, uses
from refwasm.execution.numerics import TEMPLATES
from refwasm.execution.numerics.table import is_numeric
from refwasm.execution.store import FuncInst
from refwasm.execution.values import default
from refwasm.syntax.instructions import Instr, MemArg
from refwasm.syntax.types import FuncType

#: Functions with more variables than this count those of all their frames together.
HEAVY = 64
_VIEWS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
#: Numeric operations that trap: they are ordered.
_TRAPPING = ("div_", "rem_", "trunc_f")


class Translation(ControlFlow):
    """The state of a translation; ``polls`` asks for a look at the limits in every loop."""

    def __init__(self, func: FuncInst, polls: bool) -> None:
        super().__init__(func, polls)
        self.skipped = 0  # openers in code that can't be reached
        self.operations: set[str] = set()

    # ---- the function ------------------------------------------------------------------------------------------------

    def run(self) -> Source:
        """The function ``f``."""
        params = len(self.func.signature.params)
        source = self.source
        source.add(f"def f({', '.join(f'l{i}' for i in range(params))}):")
        source.indent()
        self._declare_locals(params)
        source.add("pass")
        entry = len(source.lines) - 1
        source.add("try:")
        source.indent()
        self.blocks.append(Block("func", -1, 0, self._fresh(len(self.func.signature.results)), [], False, False))
        for pc, instr in enumerate(self.body):
            self._instruction(pc, instr)
        source.dedent()
        source.add("except IndexError as error:")
        source.add(" raise out_of_bounds(error)")
        variables = self.temporaries + params + sum(count for count, _ in self.func.func.locals)
        if variables > HEAVY:
            source.lines[entry] = f" heavy({variables})"
            source.add("finally:")
            source.add(f" light({variables})")
        if source.deepest > MAX_DEPTH:
            raise Untranslatable("nested too deeply")
        return source

    def _declare_locals(self, params: int) -> None:
        index = params
        for count, t in self.func.func.locals:
            zero = repr(default(t))
            for first in range(index, index + count, 50):
                names = " = ".join(f"l{i}" for i in range(first, min(first + 50, index + count)))
                self.source.add(f"{names} = {zero}")
            index += count
        if any(label >= 0 for label in self.targets):
            self.source.add("b = -1")
        if self.polls:
            self.source.add("k = 20000")

    def _instruction(self, pc: int, instr: Instr) -> None:
        mnemonic = instr.form.mnemonic
        if self.dead:
            self._skip(pc, mnemonic)
            return
        if is_numeric(mnemonic):
            self._numeric(pc, instr)
        elif instr.form.width and instr.form.prefix == 0:
            self._access(pc, instr)
        else:
            method: Callable[[int, Instr], None] | None = _METHODS.get(mnemonic)
            if method is None:
                raise Untranslatable(mnemonic)
            method(self, pc, instr)  # type: ignore[call-arg, arg-type]

    def _skip(self, pc: int, mnemonic: str) -> None:
        """Code that can't be reached; it ends with the block it is in."""
        if mnemonic in OPENERS or mnemonic == "try_table":
            self.skipped += 1
        elif self.skipped:
            self.skipped -= mnemonic == "end"
        elif mnemonic == "else":
            self._else(pc, self.body[pc])
        elif mnemonic == "end":
            self._end(pc, self.body[pc])

    # ---- numbers -----------------------------------------------------------------------------------------------------

    def _numeric(self, pc: int, instr: Instr) -> None:
        mnemonic = instr.form.mnemonic
        assert instr.form.params is not None
        operands = self._pop(len(instr.form.params))
        if mnemonic in TEMPLATES:
            counts = uses(mnemonic)
            if any(count > 1 and not operand.atom for count, operand in zip(counts, operands)):
                operands = self._in_order(operands)
            self._push(in_template(mnemonic, operands))
            return
        traps = any(word in mnemonic for word in _TRAPPING)
        if traps:
            operands = self._in_order(operands)
        self.operations.add(mnemonic)
        text = f"{operation_name(mnemonic)}({', '.join(operand.text for operand in operands)})"
        reads = frozenset().union(*(operand.locals for operand in operands))
        ordered = traps or any(operand.ordered for operand in operands)
        self._push(Value(marked(pc, text) if traps else text, reads, ordered))

    # ---- memory ------------------------------------------------------------------------------------------------------

    def _access_line(self, line: str, memory: int) -> None:
        """A line with one access. Another process may have grown a shared memory, of which the views know nothing yet:
        then the line is tried again."""
        if not self.instance.memories[memory].shared:
            self._emit(line, True)
            return
        self._emit("try:", True)
        self._line(f" {line}")
        self._line("except IndexError as error:")
        self._line(f" grown(m{memory}, error)")
        self._line(f" {line}")

    def _place(self, arg: MemArg, width: int, address: Value) -> str:
        """The element of a view at an address: ``m0.u32[a & 3][a >> 2]``."""
        memory = f"m{arg.memory}"
        text = address.text if not arg.offset else f"({address.text}) + {arg.offset}"
        if width == 1:
            return f"{memory}.u8[{text}]"
        first = text
        if arg.offset or not address.atom:
            (text,) = self._fresh(1)
            first = f"({text} := {first})"
        return f"{memory}.{_VIEWS[width]}[{first} & {width - 1}][{text} >> {width.bit_length() - 1}]"

    def _access(self, pc: int, instr: Instr) -> None:
        arg: MemArg = instr.args[0]
        mnemonic, width = instr.form.mnemonic, instr.form.width
        if ".store" in mnemonic:
            address, value = self._pop(2)
            if address.ordered and value.ordered:
                address = self._stored(address)
            # Python evaluates what is stored first; a name that the value assigns must not be the address's.
            stored = value.text if 8 * width == int(mnemonic[1:3]) else f"{value.text} & {hex((1 << 8 * width) - 1)}"
            if self.instance.memories[arg.memory].shared:  # the value is not evaluated twice
                address, value = self._in_order([address, Value(stored, value.locals, value.ordered)])
                stored = value.text
            self._access_line(f"{marked(pc, self._place(arg, width, address))} = {stored}", arg.memory)
            return
        (address,) = self._pop(1)
        if self.instance.memories[arg.memory].shared:
            address = self._atom(address)
        text = marked(pc, self._place(arg, width, address))
        if mnemonic.endswith("_s"):
            bits, sign = int(mnemonic[1:3]), 1 << (8 * width - 1)
            text = f"(({text} ^ {sign}) - {sign} & {hex((1 << bits) - 1)})"
        if self.instance.memories[arg.memory].shared:
            (variable,) = self._fresh(1)
            self._access_line(f"{variable} = {text}", arg.memory)
            self._push(name(variable))
            return
        self._push(Value(text, address.locals, ordered=True))

    def _memory_size(self, pc: int, instr: Instr) -> None:
        self._push(Value(f"m{instr.args[0]}.size()", ordered=True))

    def _memory_grow(self, pc: int, instr: Instr) -> None:
        memory = self.instance.memories[instr.args[0]]
        (delta,) = self._pop(1)
        mask = (1 << memory.type.address.bits) - 1
        self._effect(f"(m{instr.args[0]}.grow({delta.text}) & {hex(mask)})", 1)

    def _bulk(self, pc: int, instr: Instr) -> None:
        mnemonic = instr.form.mnemonic
        operands = self._pop(3)
        kinds = {"memory.fill": "m", "memory.copy": "mm", "memory.init": "dm"}[mnemonic]
        items = [f"{kind}{index}" for kind, index in zip(kinds, instr.args)]
        if mnemonic == "memory.init":
            items.reverse()
        args = ", ".join([*items, *(value.text for value in self._in_order(operands))])
        self._emit(marked(pc, f"{mnemonic.replace('.', '_')}({args})"), True)

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _const(self, pc: int, instr: Instr) -> None:
        self._push(constant(instr.args[0]))

    def _local_get(self, pc: int, instr: Instr) -> None:
        self._push(local(instr.args[0]))

    def _local_set(self, pc: int, instr: Instr) -> None:
        (value,) = self._pop(1)
        index = instr.args[0]
        self._settle(lambda pending: index in pending.locals)
        self._emit(f"l{index} = {value.text}", value.ordered)

    def _local_tee(self, pc: int, instr: Instr) -> None:
        self._local_set(pc, instr)
        self._push(local(instr.args[0]))

    def _global_get(self, pc: int, instr: Instr) -> None:
        self._push(Value(f"g{instr.args[0]}.value", ordered=True))

    def _global_set(self, pc: int, instr: Instr) -> None:
        (value,) = self._pop(1)
        self._emit(f"g{instr.args[0]}.value = {value.text}", True)

    def _drop(self, pc: int, instr: Instr) -> None:
        (value,) = self._pop(1)
        if value.ordered:
            self._emit(value.text, True)

    def _select(self, pc: int, instr: Instr) -> None:
        first, second, condition = self._pop(3)
        if first.ordered or second.ordered:
            first, second, condition = self._in_order([first, second, condition])
        reads = first.locals | second.locals | condition.locals
        text = f"({first.text} if {condition.condition} else {second.text})"
        self._push(Value(text, reads, condition.ordered))

    def _nop(self, pc: int, instr: Instr) -> None:
        pass

    def _unreachable(self, pc: int, instr: Instr) -> None:
        self._emit(marked(pc, "unreachable()"), True)
        self.dead = True

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _effect(self, text: str, results: int) -> None:
        """An expression with an effect: its results go to variables at once."""
        names = self._fresh(results)
        self._emit(f"{', '.join(names)} = {text}" if names else text, True)
        self.stack += map(name, names)

    def _call(self, pc: int, instr: Instr) -> None:
        signature = self.instance.funcs[instr.args[0]].signature
        args = self._arguments(signature)
        self._effect(marked(pc, f"f{instr.args[0]}({args})"), len(signature.results))

    def _arguments(self, signature: FuncType) -> str:
        return ", ".join(value.text for value in self._pop(len(signature.params)))

    def _call_indirect(self, pc: int, instr: Instr) -> None:
        type_index, table_index = instr.args
        signature = self.instance.types[type_index].composite
        assert isinstance(signature, FuncType)
        operands = self._pop(len(signature.params) + 1)
        if any(value.ordered for value in operands):  # Python finds the function before it evaluates the arguments
            operands = self._in_order(operands)
        *values, index = operands
        args = ", ".join(value.text for value in values)
        found = f"found(e{table_index}, y{type_index}, {index.text})"
        self._effect(marked(pc, f"{found}({args})"), len(signature.results))


def operation_name(mnemonic: str) -> str:
    """The name under which generated code calls a numeric function."""
    return "o_" + mnemonic.replace(".", "_")


T = Translation
_METHODS: dict[str, Any] = {
    **dict.fromkeys(("i32.const", "i64.const", "f32.const", "f64.const"), T._const),
    "local.get": T._local_get, "local.set": T._local_set, "local.tee": T._local_tee,
    "global.get": T._global_get, "global.set": T._global_set,
    "drop": T._drop, "select": T._select, "select t": T._select, "nop": T._nop, "unreachable": T._unreachable,
    "memory.size": T._memory_size, "memory.grow": T._memory_grow,
    **dict.fromkeys(("memory.fill", "memory.copy", "memory.init"), T._bulk),
    "call": T._call, "call_indirect": T._call_indirect,
    **dict.fromkeys(("block", "loop", "if"), T._open), "else": T._else, "end": T._end,
    "br": T._br, "br_if": T._br_if, "br_table": T._br_table, "return": T._return,
}  # fmt: skip
