"""Calls, exceptions, and instructions that are left to the other tier's meaning of them.

A compiled function takes and returns integers in canonical form, floats as Python floats, anything else as it is; one
result by itself, several as a tuple. A function with tail calls returns a :class:`.runtime.TailCall` instead of making
one; :func:`.runtime.trampoline` makes it.
"""

from __future__ import annotations

from refwasm.execution.compiler.blocks import Block
from refwasm.execution.compiler.control import type_name
from refwasm.execution.compiler.effects import effect
from refwasm.execution.compiler.memory import Accesses
from refwasm.execution.compiler.operands import unknown
from refwasm.execution.compiler.values import SCRATCH, Value, marked
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import FuncType
from refwasm.validation.stacks import Branch


class Calls(Accesses):
    """Calls of every kind, and what the other tier does."""

    def _effect(self, text: str, results: list[str]) -> None:
        """An expression with an effect: its results go to variables at once."""
        names = [self.fresh() for _ in results]
        self._emit(f"{', '.join(names)} = {text}" if names else text, True)
        self.stack += map(unknown, names, results)

    def _signature(self, type_index: int) -> FuncType:
        composite = self.instance.types[type_index].composite
        assert isinstance(composite, FuncType)
        return composite

    def _arguments(self, count: int, first: list[Value] | None = None) -> list[Value]:
        """Operands as a call takes them; ``first`` come before them in the call, after them on the stack."""
        values = self.settled(self._pop(count))
        if first and any(value.ordered for value in [*values, *first]):
            both = self.in_order([*values, *first])
            values, first[:] = both[:count], both[count:]
        return values

    def _call(self, pc: int, instr: Instr) -> None:
        signature = self.instance.funcs[instr.args[0]].signature
        args = self._arguments(len(signature.params))
        self._effect(marked(pc, f"f{instr.args[0]}({_texts(args)})"), list(map(type_name, signature.results)))

    def _found(self, pc: int, instr: Instr) -> tuple[str, list[Value], FuncType]:
        """The text of a function from a table or the stack, its arguments, and its type."""
        signature = self._signature(instr.args[0])
        callee = self._pop(1)
        if SCRATCH in callee[0].locals:  # rounding an argument would change it
            *args, callee[0] = self.in_order([*self._pop(len(signature.params)), callee[0]])
            self.stack += args
        if callee[0].type:
            callee = self.settled(callee)
        args = self._arguments(len(signature.params), callee)
        if instr.form.mnemonic.endswith("indirect"):
            return f"e{instr.args[1]}_{instr.args[0]}({callee[0].text})", args, signature
        return f"referred({callee[0].text})", args, signature

    def _call_found(self, pc: int, instr: Instr) -> None:
        text, args, signature = self._found(pc, instr)
        self._effect(marked(pc, f"{text}({_texts(args)})"), list(map(type_name, signature.results)))

    def _return_call(self, pc: int, instr: Instr) -> None:
        if instr.form.mnemonic == "return_call":
            args = self._arguments(len(self.instance.funcs[instr.args[0]].signature.params))
            text = f"f{instr.args[0]}"
        else:
            text, args, _ = self._found(pc, instr)
        self._emit(f"return {marked(pc, f'TailCall({text}, {_tuple(args)})')}", True)
        self.dead = True

    # ---- exceptions --------------------------------------------------------------------------------------------------

    def _throw(self, pc: int, instr: Instr) -> None:
        signature = self.instance.tags[instr.args[0]].signature
        args = self._as_bits(self._arguments(len(signature.params)))
        self._emit(marked(pc, f"throw(a{instr.args[0]}, {_tuple(args)})"), True)
        self.dead = True

    def _throw_ref(self, pc: int, instr: Instr) -> None:
        self._emit(marked(pc, f"throw_ref({self._pop(1)[0].text})"), True)
        self.dead = True

    def _open_try(self, pc: int, instr: Instr) -> None:
        block = self._new_block(pc, instr)
        block.kind = "try"
        self._begin_loop_if_needed(block)
        self._line("try:")
        self._nest()
        self.source.indent()

    def _end_try(self, block: Block) -> None:
        """The clauses, after the body: they jump from where the block began."""
        self.source.dedent()
        self.nested -= 1
        body_facts, exception = self.facts, self.fresh()
        self._line(f"except UncaughtException as {exception}:")
        self.source.indent()
        self._line(f"{exception} = caught({exception})")
        _, catches = self.body[block.number].args
        branches: tuple[Branch, ...] = self.side[block.number]
        self.facts = {}
        for clause, branch in zip(catches, branches):
            self._line("if True:" if clause.tag is None else f"if {exception}.tag is a{clause.tag}:")
            self.source.indent()
            values = []
            if clause.tag is not None:
                types = list(map(type_name, self.instance.tags[clause.tag].signature.params))
                values = [self._from_bits(f"{exception}.payload[{i}]", t) for i, t in enumerate(types)]
            if clause.kind.endswith("_ref"):
                values.append(unknown(exception, ""))
            height = len(self.stack)
            self.stack += values
            self._jump(branch)
            del self.stack[height:]
            self.source.dedent()
        self._line("raise")
        self.source.dedent()
        self.facts = body_facts

    # ---- everything else ---------------------------------------------------------------------------------------------

    def _as_bits(self, values: list[Value]) -> list[Value]:
        """Floats as bit patterns: what everything outside compiled code wants."""
        return [Value(f"bits{v.type[1:]}({v.text})", "", 0, 0, v.locals, v.ordered) if v.type[:1] == "f" else v
                for v in values]  # fmt: skip

    def _from_bits(self, text: str, type: str) -> Value:
        return unknown(f"{type}_of({text})" if type[:1] == "f" else text, type)

    def _interpreted(self, pc: int, instr: Instr) -> None:
        """An instruction that works on its operands only: the other tier's meaning, called as a function."""
        count, results = effect(instr, self.instance)
        args = self._as_bits(self._arguments(count))
        text = marked(pc, f"x{self.func.index}_{pc}({_texts(args)})")
        if len(results) == 1:
            text = self._from_bits(text, results[0]).text
        self._effect(text, list(results))
        if "atomic" in instr.form.mnemonic:  # what another process did before is seen from here on
            for index, memory in enumerate(self.instance.memories):
                if memory.shared:
                    self._line(f"m{index}.refresh()")

    def _global_get(self, pc: int, instr: Instr) -> None:
        type = type_name(self.instance.globals[instr.args[0]].type.value)
        found = self._from_bits(f"g{instr.args[0]}.value", type)
        found.ordered, found.atom = True, False
        self.push(found)

    def _global_set(self, pc: int, instr: Instr) -> None:
        (value,) = self._as_bits(self.settled(self._pop(1)))
        self._emit(f"g{instr.args[0]}.value = {value.text}", True)


def _texts(values: list[Value]) -> str:
    return ", ".join(value.text for value in values)


def _tuple(values: list[Value]) -> str:
    return f"({_texts(values)}{',' if values else ''})"
