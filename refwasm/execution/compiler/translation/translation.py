"""One validated function to Python: operands become expressions, blocks Python's own control flow.

:class:`Translation` walks the body once (innermost loops more often, see :mod:`.loops`). What has an effect is emitted
as a line, after everything that must come before it. The layers, each a class of its own: :mod:`.operands`,
:mod:`.control`, :mod:`.loops`, :mod:`.memory`, :mod:`.calls`, and this one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.execution.compiler import floats, integers, vectors
from refwasm.execution.compiler.agreed import POLL, Untranslatable
from refwasm.execution.compiler.blocks import Block
from refwasm.execution.compiler.calls import Calls
from refwasm.execution.compiler.control import MAX_DEPTH, type_name
from refwasm.execution.compiler.exits import types_of_locals
from refwasm.execution.compiler.loops import MAX_LENGTH
from refwasm.execution.compiler.source import Source
from refwasm.execution.compiler.values import BITS, SCRATCH, Value, combined, integer, marked, plain
from refwasm.execution.memory import MAX_BYTES
from refwasm.execution.numerics.table import is_numeric, is_wide
from refwasm.execution.store import FuncInst
from refwasm.execution.values import default
from refwasm.syntax.instructions import FORMS, OPENERS, Instr
from refwasm.validation.stacks import END_OF_TRY

#: Prefix byte of vector instructions.
VECTOR = 0xFD
#: Functions with more variables than this count those of all their frames together.
HEAVY = 64
Method = Callable[[Any, int, Instr], None]


class Translation(Calls):
    """The state of a translation; ``polls`` asks for a look at the limits in every loop, ``fuel`` for counting what is
    executed. ``methods`` say what to do with each instruction.

    Instructions that are ``absent`` (a byte for each says so; none if nothing is), since nobody has executed them so
    far, are not translated: who gets there leaves the function, with all locals and operands, and the other tier goes
    on. They begin where control arrives by a jump only, or in an arm of an ``if``, so nothing that is on the stack is
    still to be evaluated."""

    methods: dict[str, Method]

    def __init__(self, func: FuncInst, polls: bool = False, fuel: bool = False, absent: bytes = b"") -> None:
        super().__init__(func, polls)
        self.fuel = fuel
        self.absent = absent
        self.spent = 0  # instructions since fuel was last taken
        self.skipped = 0  # openers in code that can't be reached
        self.types = list(map(type_name, types_of_locals(func)))

    # ---- the function ------------------------------------------------------------------------------------------------

    def run(self) -> Source:
        """The function ``f``."""
        params = len(self.func.signature.params)
        source = self.source
        source.add(f"def f({', '.join(f'l{i}' for i in range(params))}):")
        source.indent()
        self._declare_locals(params)
        source.add("try:")
        before = len(source.lines) - 1
        source.indent()
        label = len(self.body) - 1
        self.blocks.append(Block("func", -1, label, 0, [], [], [], []))
        self.labels[label] = self.blocks[-1]
        self.translate(0, len(self.body))
        source.dedent()
        source.add("except IndexError as error:")
        source.add(" raise out_of_bounds(error)")
        variables = self.temporaries + len(self.types)
        if variables > HEAVY:
            source.lines.insert(before, (f" heavy({variables})", []))
            source.add("finally:")
            source.add(f" light({variables})")
        if self.passes:
            source.lines.insert(before, (" b = -1", []))
        if source.deepest > MAX_DEPTH:
            raise Untranslatable("nested too deeply")
        return source

    def _declare_locals(self, params: int) -> None:
        index = params
        for count, t in self.func.func.locals:
            name = type_name(t)
            zero = "0.0" if name[:1] == "f" else repr(default(t))
            for first in range(index, index + count, 50):
                last = min(first + 50, index + count)
                self.source.add(f"{' = '.join(f'l{i}' for i in range(first, last))} = {zero}")
            if name in ("i32", "i64"):
                self.facts.update((i, (0, 0, 64)) for i in range(index, index + count))
            index += count
        if self.polls:
            self.source.add(f"k = {POLL}")

    def translate(self, first: int, last: int) -> None:
        """Instructions from ``first`` to before ``last``."""
        pc, body = first, self.body
        while pc < last:
            instr = body[pc]
            mnemonic = instr.form.mnemonic
            self.calculates = mnemonic in CALCULATING
            if self.unchecked and not self.calculates:
                self.keep_payloads()
            if self.dead:
                self._skip(pc, mnemonic)
            elif self.absent and self.absent[pc] and self._can_be_left():
                self._exit(pc)
                continue
            elif mnemonic == "loop" and pc != self.current_loop and self._has_versions(pc):
                pc = self._loop(pc)
                continue
            elif mnemonic == "block" and pc in self.survey.switches:
                count = self.survey.switches[pc]
                self._spend(0)
                self._open_switch(pc, count)
                pc += count
                continue
            else:
                if self.fuel:
                    self._fueled(pc, instr)
                else:
                    self.methods[mnemonic](self, pc, instr)
            pc += 1

    def _has_versions(self, pc: int) -> bool:
        loop = self.survey.loops[pc]
        no_values = self.types_of(self.body[pc].args[0]) == ([], [])
        return loop.innermost and not loop.calls and no_values and not self.fuel and loop.end - pc < MAX_LENGTH

    def _can_be_left(self) -> bool:
        """Loops with versions are translated as a whole, and a try_table's handlers are not the other tier's."""
        return self.current_loop < 0 and all(block.kind != "try" for block in self.blocks)

    def _exit(self, pc: int) -> None:
        """Leave the function before an instruction, with all that is needed to go on."""
        self.calculates = False
        operands = ", ".join(value.text for value in self._as_bits(self.settled(self.stack)))
        self._line(f"return {self._left(f'{pc}, locals(), [{operands}]')}")
        self.dead = True

    def _left(self, args: str) -> str:
        """The call that goes on in the other tier. Its place is none of the function's: that tier knows better."""
        return marked(len(self.body), f"r{self.func.index}({args})")

    def _skip(self, pc: int, mnemonic: str) -> None:
        """Code that can't be reached; it ends with the block it is in."""
        if mnemonic in OPENERS:
            self.skipped += 1
        elif self.skipped:
            self.skipped -= mnemonic == "end"
        elif mnemonic == "else":
            self._else(pc, self.body[pc])
        elif mnemonic == "end":
            self._end(pc, self.body[pc])

    # ---- fuel --------------------------------------------------------------------------------------------------------

    def _fueled(self, pc: int, instr: Instr) -> None:
        """An instruction, after taking fuel for it and for those before it that nobody could observe."""
        mnemonic = instr.form.mnemonic
        if mnemonic == "end":
            self.spent += self.blocks[-1].kind == "func"
        elif mnemonic not in STRUCTURE:
            self.spent += 1
        if mnemonic not in UNOBSERVABLE:
            self._spend(mnemonic == "return")
        self.methods[mnemonic](self, pc, instr)
        if self.stack and self.stack[-1].ordered and not self.stack[-1].atom and not self.dead:
            self.stack.append(self._stored(self.stack.pop()))

    def _spend(self, more: int) -> None:
        spent, self.spent = self.spent + more, 0
        if spent and self.fuel:
            self._line(f"S.fuel -= {spent}")
            self._line("if S.fuel < 0: all_consumed()")

    def _end(self, pc: int, instr: Instr) -> None:
        super()._end(pc, instr)
        if self.fuel and self.side.get(pc) is END_OF_TRY and not self.dead:
            self.spent += 1  # branches to the end take it, too

    def _jump(self, branch: Any) -> None:
        if self.labels[branch.label.pc].kind == "func":
            self._spend(1)  # the end of the function
        super()._jump(branch)

    # ---- numbers -----------------------------------------------------------------------------------------------------

    def _numeric(self, pc: int, instr: Instr) -> None:
        form = instr.form
        assert form.params is not None and form.results is not None
        operands = self._pop(len(form.params))
        if len(operands) == 2 and operands[0].ordered and not operands[0].atom and form.mnemonic not in PLAIN:
            operands = self.in_effect_order(operands)
        ordered = any(operand.ordered for operand in operands)
        table = integers if operands[0].type[:1] == "i" and form.mnemonic[0] == "i" else floats
        if form.prefix == VECTOR:
            found = vectors.operation(self, form.mnemonic, operands)
        else:
            found = table.operation(self, form.mnemonic, operands)
        if found is None:
            found = self._calculated(form.mnemonic, operands, type_name(form.results[0]))
        elif (found.ordered and not ordered) or form.mnemonic in TRAPPING:  # it may trap
            found.text = marked(pc, found.text)
        self.push(found)

    def _wide(self, pc: int, instr: Instr) -> None:
        """Two results: the numeric function itself."""
        form = instr.form
        assert form.params is not None and form.results is not None
        args = ", ".join(v.text for v in self._arguments(len(form.params)))
        self._effect(f"o_{form.mnemonic.replace('.', '_')}({args})", list(map(type_name, form.results)))

    def _calculated(self, mnemonic: str, operands: list[Value], type: str) -> Value:
        """The numeric function itself."""
        args = self._as_bits(self.settled(operands))
        text = f"o_{mnemonic.replace('.', '_')}({', '.join(v.text for v in args)})"
        found = plain(text if type[:1] != "f" else f"{type}_of({text})", type)
        for operand in args:
            found.locals |= operand.locals
            found.ordered = found.ordered or operand.ordered
        return found

    def _extract_lane(self, pc: int, instr: Instr) -> None:
        shape = instr.form.mnemonic.partition(".")[0]
        (vector,) = self._pop(1)
        bits = vectors.extracted(shape, instr.args[0], vector)
        type = type_name(instr.form.results[0])  # type: ignore[index]
        high = 0 if type[0] == "f" else (1 << vectors.lane_bits(shape)) - 1
        self.push(combined(self._from_bits(bits, type).text, type, 0, high, vector))

    def _replace_lane(self, pc: int, instr: Instr) -> None:
        shape = instr.form.mnemonic.partition(".")[0]
        vector, value = self._as_bits(self.settled(self.in_effect_order(self._pop(2))))
        n = vectors.lane_bits(shape)
        bits = value.text if n >= 32 else f"({value.text} & {hex((1 << n) - 1)})"
        text = vectors.replaced(shape, instr.args[0], vector, bits)
        self.push(combined(text, "", 0, 0, vector, value))

    def _const(self, pc: int, instr: Instr) -> None:
        type = instr.form.mnemonic[:3]
        value: int = instr.args[0]
        if type[0] == "f":
            self.push(floats.constant(value, type))
        elif type == "v12":
            self.push(Value(hex(value), "", atom=True))
        else:
            self.push(integer(value, type))

    # ---- variables ---------------------------------------------------------------------------------------------------

    def _local_get(self, pc: int, instr: Instr) -> None:
        index = instr.args[0]
        type = self.types[index]
        found = plain(f"l{index}", type, frozenset((index,)), atom=True)
        if type in ("i32", "i64"):
            fact = self.facts.get(index)
            if fact is not None:
                found.lo, found.hi, found.twos = fact
            found.parts, found.adds = (index,), index
            if self.assumptions is not None:
                found.linear = self.sums.get(index, {index: 1})
                found.locals |= {i for i in found.linear if i != SCRATCH}
        elif type:
            found.loose = index in self.survey.arithmetic
        self.stack.append(found)

    def _local_set(self, pc: int, instr: Instr) -> None:
        (value,) = self._pop(1)
        index = instr.args[0]
        self.settle_local(index)
        self.doubles.pop(f"l{index}", None)
        if self.sums:
            self.sums = {i: linear for i, linear in self.sums.items() if i != index and index not in linear}
        if value.type in ("i32", "i64"):
            self._set_integer(index, value)
        elif value.type:
            self._set_float(index, value)
        else:
            self._emit(f"l{index} = {value.text}", value.ordered)

    def _set_integer(self, index: int, value: Value) -> None:
        n = BITS[value.type]
        self.facts.pop(index, None)
        self.steps_by(index, value)
        if (value.lo < 0 or value.hi >> n) and self.accumulates(index, value):
            self._emit(f"l{index} = {value.text}", value.ordered)
            return
        if self.holds_signed(index, value):
            self._emit(f"l{index} = {value.signed}", value.ordered)
            self.facts[index] = (-(1 << (n - 1)), (1 << (n - 1)) - 1, 0)
            return
        value = integers.canonical(self, value, n)
        self._emit(f"l{index} = {value.text}", value.ordered)
        if value.lo > 0 or value.hi < (1 << n) - 1 or value.twos:
            self.facts[index] = (value.lo, value.hi, value.twos)
        if self.assumptions is not None and value.linear is not None and value.locals and index not in value.linear:
            self.sums[index] = value.linear

    def _set_float(self, index: int, value: Value) -> None:
        (value,) = self.rounded([value]) if value.unrounded else [value]
        if value.bits and index in value.locals:  # they are looked at again when the local has changed
            value = self._stored(value)
        name = f"l{index}"
        self._emit(f"{name} = {value.text}", value.ordered)
        self._note_payload(name, value)
        if value.loose and index not in self.survey.arithmetic:
            self._line(f"if {name} != {name}: {name} = NAN")

    def _local_tee(self, pc: int, instr: Instr) -> None:
        self._local_set(pc, instr)
        self._local_get(pc, instr)

    def _drop(self, pc: int, instr: Instr) -> None:
        (value,) = self._pop(1)
        if value.ordered:
            self._emit(value.text, True)

    def _select(self, pc: int, instr: Instr) -> None:
        first, second, condition = self._pop(3)
        if first.ordered or second.ordered or first.unrounded or second.unrounded:
            first, second, condition = self.in_order([first, second, condition])
        first, second = self.settled([first, second])
        condition = integers.canonical(self, condition, 32)
        text = f"({first.text} if {condition.condition} else {second.text})"
        reads = first.locals | second.locals | condition.locals
        found = Value(text, first.type, min(first.lo, second.lo), max(first.hi, second.hi), reads, condition.ordered)
        found.twos = min(first.twos, second.twos)
        self.push(found)

    def _nop(self, pc: int, instr: Instr) -> None:
        pass

    def _unreachable(self, pc: int, instr: Instr) -> None:
        self._emit(marked(pc, "unreachable()"), True)
        self.dead = True

    # ---- memories and references -------------------------------------------------------------------------------------

    def _memory_size(self, pc: int, instr: Instr) -> None:
        t = self.instance.memories[instr.args[0]].type
        most = MAX_BYTES[t.address.bits] >> t.page_bits
        self.push(Value(f"m{instr.args[0]}.size()", type_name(t.address), 0, most, ordered=True))

    def _memory_grow(self, pc: int, instr: Instr) -> None:
        type = self.instance.memories[instr.args[0]].type.address
        (delta,) = self.settled(self._pop(1))
        self._effect(f"(m{instr.args[0]}.grow({delta.text}) & {hex((1 << type.bits) - 1)})", [type_name(type)])

    def _br_on(self, pc: int, instr: Instr) -> None:
        """br_on_null, br_on_non_null and the casts: the reference is an atom, then one ``if``."""
        mnemonic, branch = instr.form.mnemonic, self.side[pc]
        operand, *descriptors = self.in_order(self._pop(1 + ("_desc" in mnemonic)))
        self.stack.append(operand)
        self._settle_all()
        reference = self.stack[-1]
        for descriptor in descriptors:
            self._emit(marked(pc, f"check_descriptor({descriptor.text})"), True)
        if mnemonic.startswith("br_on_cast"):
            operands = ", ".join([f"v{self.func.index}_{pc}", reference.text, *(d.text for d in descriptors)])
            found = f"{'is_described' if descriptors else 'is_of'}({operands})"
            condition = f"not {found}" if mnemonic.endswith("_fail") else found
        else:
            condition = f"{reference.text} is {'not ' if 'non' in mnemonic else ''}None"
        if mnemonic == "br_on_null":
            self.stack.pop()
        carried = Value(f"({condition})", "i32", 0, 1)
        if branch.arity:
            self._carry(branch)
        self._branch_if(carried, branch)
        if mnemonic == "br_on_null":
            self.stack.append(reference)
        elif mnemonic == "br_on_non_null":
            self.stack.pop()

    def _ref_null(self, pc: int, instr: Instr) -> None:
        self.push(Value("None", "", atom=True))

    def _ref_is_null(self, pc: int, instr: Instr) -> None:
        (reference,) = self._pop(1)
        self.push(integers.truth(f"{reference.text} is None", None, reference))


T = Translation
METHODS: dict[str, Method] = {
    **{name: T._interpreted for name in FORMS},
    **{name: T._numeric for name in FORMS if is_numeric(name)},
    **{name: T._wide for name in FORMS if is_wide(name)},
    **{name: T._access for name, form in FORMS.items() if form.width and form.prefix == 0},
    **dict.fromkeys(("i32.const", "i64.const", "f32.const", "f64.const", "v128.const"), T._const),
    "local.get": T._local_get, "local.set": T._local_set, "local.tee": T._local_tee,
    "global.get": T._global_get, "global.set": T._global_set,
    "drop": T._drop, "select": T._select, "select t": T._select, "nop": T._nop, "unreachable": T._unreachable,
    "memory.size": T._memory_size, "memory.grow": T._memory_grow,
    "memory.copy": T._memory_copy, "memory.fill": T._memory_fill,
    "call": T._call, "call_indirect": T._call_found, "call_ref": T._call_found,
    **dict.fromkeys(("return_call", "return_call_indirect", "return_call_ref"), T._return_call),
    **dict.fromkeys(("block", "loop", "if"), T._open), "else": T._else, "end": T._end,
    "br": T._br, "br_if": T._br_if, "br_table": T._br_table, "return": T._return,
    **{name: T._br_on for name in FORMS if name.startswith("br_on_")},
    "throw": T._throw, "throw_ref": T._throw_ref, "try_table": T._open_try,
    **{name: T._extract_lane for name in FORMS if ".extract_lane" in name and not name.endswith("_s")},
    **{name: T._replace_lane for name in FORMS if ".replace_lane" in name},
    "v128.load": T._load_vector, "v128.store": T._store_vector,
    **{f"v128.load{n}_splat": T._load_splat for n in (8, 16, 32, 64)},
    "ref.null": T._ref_null, "ref.is_null": T._ref_is_null,
}  # fmt: skip
T.methods = METHODS
#: Operations that never need a line of their own, so that two operands may stay as they are.
PLAIN = frozenset(
    f"{t}.{name}" for t in ("i32", "i64") for name in ("add", "sub", "mul", "and", "or", "xor", "eq", "ne", "lt_u",
    "gt_u", "le_u", "ge_u")) | frozenset(f"f64.{name}" for name in ("add", "sub", "mul", "eq", "ne", "lt", "gt", "le",
    "ge", "min", "max")) | frozenset(f"f32.{name}" for name in ("add", "sub", "mul"))  # fmt: skip
TRAPPING = frozenset(
    name for name in FORMS if is_numeric(name) and any(w in name for w in ("div_", "rem_", ".trunc_f"))
)
#: Instructions that do nothing to an f32 operand but calculate with it, where all NaNs are the same.
CALCULATING = (
    PLAIN
    | {"f32.div", "i32.shl", "i64.shl", "local.get"}
    | frozenset(
        name
        for name, form in FORMS.items()
        if name.endswith(".const") or (form.width and form.prefix == 0 and ".load" in name)
    )
)
#: Instructions that take no fuel, with ``end`` (but that of a try_table, and a function's).
STRUCTURE = frozenset({"block", "loop", "else", "nop"})
#: Instructions of which nothing can be seen from outside: fuel for them is taken later.
UNOBSERVABLE = frozenset(
    name
    for name in FORMS
    if name.startswith("local.")
    or name.endswith(".const")
    or name in ("drop", "select", "select t", "nop", "global.get")
    or (is_numeric(name) and name not in TRAPPING)
    or is_wide(name)
)
__all__ = ["METHODS", "Translation"]
