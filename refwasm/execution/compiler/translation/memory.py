"""Memory accesses of a translation.

A memory has *views* by element type and constant offset, as global names of the generated code: ``u32_m0_8`` is a tuple
of four views of memory 0 that start at bytes 8, 9, 10 and 11, so that ``u32_m0_8[a & 3][a >> 2]`` is the access
``i32.load offset=8`` at any address, and its IndexError exactly the trap. ``U32_m0_8`` is the first of the four, for
addresses that are known to be multiples of four (:mod:`.views`).

What has been an address is below the size of its memory: the facts about locals that went into it say so afterwards.
"""

from __future__ import annotations

from refwasm.execution.compiler.agreed import SMALL
from refwasm.execution.compiler.integers import canonical
from refwasm.execution.compiler.loops import Loops
from refwasm.execution.compiler.values import SCRATCH, Value, combined, integer, marked, plain
from refwasm.execution.memory import MAX_BYTES
from refwasm.execution.numerics.vectors import repeat
from refwasm.syntax.instructions import Instr, MemArg

#: Larger offsets are added to addresses that may be anything: those need a view for each way to be aligned.
MAX_VIEW_OFFSET = 512
_INTEGER_VIEWS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}


class Accesses(Loops):
    """Loads and stores."""

    def _element(self, view: str, width: int, arg: MemArg, address: Value) -> str:
        """The element of a view at an address."""
        shift = width.bit_length() - 1
        address, offset = self._address(arg, address, shift)
        name = f"{view}_m{arg.memory}_{offset}"
        self.accessed.add(arg.memory)
        if not shift:
            text = f"{name}[{address.text}]"
        elif address.twos >= shift:
            index, further = self._divided(address, shift)
            text = f"{view.upper()}_m{arg.memory}_{offset + further}[{index}]"
        elif address.atom:
            text = f"{name}[{address.text} & {width - 1}][{address.text} >> {shift}]"
        else:
            variable = self.fresh()
            text = f"{name}[({variable} := {address.text}) & {width - 1}][{variable} >> {shift}]"
        if address.twos < shift:
            self.wishes.update((index, shift) for index in address.locals)
        self._was_address(arg, width, offset, address)
        return text

    def _address(self, arg: MemArg, address: Value, shift: int) -> tuple[Value, int]:
        """The address without what the view's offset adds."""
        if address.constant is None and (arg.offset < MAX_VIEW_OFFSET or address.twos >= shift):
            return address, arg.offset
        return _moved(address, arg.offset), 0

    def _divided(self, address: Value, shift: int) -> tuple[str, int]:
        """An address that is a multiple of 2**shift, divided by that; and what the view's offset adds further."""
        if address.constant is not None:
            return str(address.constant >> shift), 0
        if address.linear is None or self.assumptions is None:
            return f"{address.text} >> {shift}", 0
        positive: list[str] = []
        negative: list[str] = []
        constant = address.linear.get(SCRATCH, 0)
        for index, factor in address.linear.items():
            if not factor or index == SCRATCH:
                continue
            if factor % (1 << shift) == 0:
                factor, text = factor >> shift, f"l{index}"
            elif self.facts.get(index, (0, 0, 0))[2] < shift:
                return f"{address.text} >> {shift}", 0
            else:
                text = self.divided(index, shift)
            amount = abs(factor)
            (positive if factor > 0 else negative).append(text if amount == 1 else f"{text} * {amount}")
        if positive and not negative and constant >= 0:
            return " + ".join(positive), constant
        if constant % (1 << shift):
            return f"{address.text} >> {shift}", 0
        if constant:
            (positive if constant > 0 else negative).append(str(abs(constant) >> shift))
        return " - ".join([" + ".join(positive) or "0", *negative]), 0

    def _was_address(self, arg: MemArg, width: int, offset: int, address: Value) -> None:
        if not address.parts:
            return
        size = SMALL["i32"] if self.assumptions is not None else MAX_BYTES[self._address_bits(arg)]
        limit = size - offset - width
        for index in address.parts:
            low, high, twos = self.facts.get(index, (0, 1 << 64, 0))
            if limit < high and limit >= low:
                self.facts[index] = (low, limit, twos)

    def _access(self, pc: int, instr: Instr) -> None:
        arg: MemArg = instr.args[0]
        if ".store" in instr.form.mnemonic:
            self._store(pc, instr, arg)
        else:
            self._load(pc, instr, arg)

    def _load(self, pc: int, instr: Instr, arg: MemArg) -> None:
        mnemonic, width = instr.form.mnemonic, instr.form.width
        address = canonical(self, self._pop(1)[0], self._address_bits(arg))
        type = mnemonic[:3]
        if type[0] == "f":
            element = self._element(type, width, arg, address)
            found = Value(marked(pc, element), type, 0, 0, address.locals, True)
            if type == "f32":
                found.bits = marked(pc, {"f": "u", "F": "U"}[element[0]] + element[1:])
            self.push(found)
            return
        element = self._element(_INTEGER_VIEWS[width], width, arg, address)
        text = marked(pc, element)
        high = (1 << 8 * width) - 1
        if mnemonic.endswith("_s"):
            variable, half = self.fresh(), 1 << (8 * width - 1)
            fill = (1 << int(type[1:])) - 1 - high
            text = f"({variable} if ({variable} := {text}) < {hex(half)} else {variable} | {hex(fill)})"
            self.push(plain(text, type, address.locals, True))
            return
        found = Value(text, type, 0, high, address.locals, True)
        if width == int(type[1:]) // 8:
            found.signed = marked(pc, {"u": "i", "U": "I"}[element[0]] + element[1:])
        self.push(found)

    def _address_bits(self, arg: MemArg) -> int:
        return self.instance.memories[arg.memory].type.address.bits

    def _store(self, pc: int, instr: Instr, arg: MemArg) -> None:
        width, type = instr.form.width, instr.form.mnemonic[:3]
        address, value = self._pop(2)
        address = canonical(self, address, self._address_bits(arg))
        if address.ordered and value.ordered:  # Python evaluates what is stored first
            address = self._stored(address)
        if type[0] == "f":
            self._store_float(pc, width, arg, address, value)
            return
        mask = (1 << 8 * width) - 1
        if width == int(type[1:]) // 8:
            value = canonical(self, value, 8 * width)
        text = value.text if value.within(0, mask) else f"{value.text} & {hex(mask)}"
        element = self._element(_INTEGER_VIEWS[width], width, arg, address)
        self._emit(f"{marked(pc, element)} = {text}", True)

    def _store_float(self, pc: int, width: int, arg: MemArg, address: Value, value: Value) -> None:
        type = value.type
        if type == "f32" and not value.loose and not value.bits and not value.unrounded:
            self.settle_ordered()
            address, value = self.in_order([address, value])
            self._line(f"if {value.text} == {value.text}:")
            self._line(f" {marked(pc, self._element(type, width, arg, address))} = {value.text}")
            self._line("else:")
            self._line(f" {marked(pc, self._element('u32', width, arg, address))} = bits32({value.text})")
            return
        if type == "f32" and value.bits and not value.loose:
            element, text = self._element("u32", width, arg, address), value.bits
        else:
            text = self._with_nan(value).text
            element = self._element(type, width, arg, address)
        self._emit(f"{marked(pc, element)} = {text}", True)

    # ---- vectors: two halves of 64 bits ------------------------------------------------------------------------------

    def _load_vector(self, pc: int, instr: Instr) -> None:
        arg: MemArg = instr.args[0]
        address = self.atom(canonical(self, self._pop(1)[0], self._address_bits(arg)))
        low, high = self._halves(arg, address)
        self.push(Value(marked(pc, f"({low} | {high} << 64)"), "", 0, 0, address.locals, True))

    def _store_vector(self, pc: int, instr: Instr) -> None:
        arg: MemArg = instr.args[0]
        address, value = self._pop(2)
        address, value = self.in_order([canonical(self, address, self._address_bits(arg)), value])
        low, high = self._halves(arg, address)
        self._emit(f"{marked(pc, high)} = {value.text} >> 64", True)  # the half that may be out of bounds goes first
        self._emit(f"{marked(pc, low)} = {value.text} & {hex((1 << 64) - 1)}", True)

    def _halves(self, arg: MemArg, address: Value) -> tuple[str, str]:
        upper = arg._replace(offset=arg.offset + 8)
        return self._element("u64", 8, arg, address), self._element("u64", 8, upper, address)

    def _load_splat(self, pc: int, instr: Instr) -> None:
        arg, width = instr.args[0], instr.form.width
        address = canonical(self, self._pop(1)[0], self._address_bits(arg))
        element = self._element(_INTEGER_VIEWS[width], width, arg, address)
        text = f"({marked(pc, element)} * {hex(repeat(8 * width, 1))})"
        self.push(Value(text, "", 0, 0, address.locals, True))

    # ---- many bytes at once ------------------------------------------------------------------------------------------

    def _memory_copy(self, pc: int, instr: Instr) -> None:
        target, source = instr.args
        self._bulk(pc, f"memory_copy(m{target}, m{source}")

    def _memory_fill(self, pc: int, instr: Instr) -> None:
        self._bulk(pc, f"memory_fill(m{instr.args[0]}")

    def _bulk(self, pc: int, beginning: str) -> None:
        args = self.settled(self._pop(3))
        self._emit(marked(pc, f"{beginning}, {', '.join(arg.text for arg in args)})"), True)


def _moved(address: Value, offset: int) -> Value:
    """An address and a constant offset, which together don't wrap around."""
    if address.constant is not None:
        return integer(address.constant + offset, address.type)
    found = combined(f"({address.text} + {offset})", address.type, address.lo + offset, address.hi + offset, address)
    found.twos = min(address.twos, (offset & -offset).bit_length() - 1)
    found.parts = address.parts
    if address.linear is not None:
        found.linear = {**address.linear, SCRATCH: address.linear.get(SCRATCH, 0) + offset}
    return found
