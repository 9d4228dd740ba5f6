"""Instructions (specification 2.4): what a row of the table means, and the instruction itself.

**Immediates** (fourth column of :mod:`refwasm.syntax.forms`), one word per operand of an :class:`Instr`:

=============  ==========================================================================
``block``      a BlockType
``label`` …    an index: ``label func type table memory global local tag elem data field``
``labels``     br_table: a tuple of labels, then the default label (one operand each)
``types``      a tuple of value types (``select t``)
``heap``       a heap type
``cast``       br_on_cast: label, source RefType, target RefType (three operands)
``catches``    a tuple of :class:`Catch`
``handlers``   a tuple of :class:`On`
``memargN``    a :class:`MemArg`; the access is N bits wide
``lane``       a lane number (a byte); ``lanes`` a tuple of sixteen
``i32 … v128`` a constant: unsigned integer or bit pattern
``count``      a number of elements
``zero``       a reserved zero byte; no operand
=============  ==========================================================================

**Types** (fifth column): ``params -> results``; ``at`` stands for the address type of the memory accessed. ``rule``
means that the type depends on context and is given by a rule in :mod:`refwasm.validation`.

**Properties** (sixth column), as many words as apply:

==============  =========================================================================
``load``        reads from a memory
``store``       writes to a memory
``rmw``         does both in one step, with the operation that the next word names
``atomic``      is ordered with the atomic instructions of other threads
``grow``        changes the size of a memory or table
``bulk``        takes time in proportion to an operand
``trap``        may trap; so may every access to a memory, which does not say it
``call``        may run other code
``tail``        does so in place of the function
``throw``       throws an exception
``final``       never goes on with the next instruction
``new``         makes an object for the garbage collector
``default``     of which no operand gives the contents
``const``       is a number
``relation``    is 1 where a relation between numbers holds, else 0
``signed``      extends the sign of what it reads
``packed``      reads a field of fewer bits than a number
``splat``       gives every lane what it reads
``nullable``    is about a type with null
``descriptor``  takes a descriptor from the stack
``fail``        branches where a cast fails
==============  =========================================================================
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refwasm.syntax.forms import FORMS_BY_FEATURE
from refwasm.syntax.types import NUM_TYPES, ValType


class Form:
    """One row of the table, parsed. There is one object per row, compared by identity.

    ``params`` and ``results`` are lists of types, or None where the fifth column says ``rule``; for memory
    instructions they exclude the address, and ``takes_address`` is true. ``width`` is the access width in bytes.
    ``opens`` says that it begins a block, ``has_lane`` that it names a lane; the others stand for ``properties``.
    """

    __slots__ = (
        "mnemonic", "prefix", "opcode", "immediates", "feature", "params", "results", "takes_address", "width",
        "properties", "loads", "stores", "is_rmw", "is_atomic", "may_trap", "calls", "is_tail_call", "throws",
        "is_final", "is_default", "is_const", "extends_sign", "is_nullable", "takes_descriptor", "on_failure",
        "is_packed", "splats", "is_relation", "opens", "has_lane",
    )  # fmt: skip

    def __init__(
        self, mnemonic: str, prefix: int, opcode: int, immediates: str, signature: str, properties: str, feature: str
    ) -> None:
        self.mnemonic = mnemonic
        self.prefix = prefix
        self.opcode = opcode
        self.immediates: tuple[str, ...] = tuple(immediates.split())
        self.feature = feature
        self.params: list[ValType] | None = None
        self.results: list[ValType] | None = None
        self.takes_address = signature.startswith("at")
        if signature != "rule":
            before, after = signature.split("->")
            self.params = [NUM_TYPES[name] for name in before.split() if name != "at"]
            self.results = [NUM_TYPES[name] for name in after.split()]
        memargs = [word for word in self.immediates if word.startswith("memarg")]
        self.width = int(memargs[0].removeprefix("memarg")) // 8 if memargs else 0
        self._set_properties(frozenset(properties.split()))

    def _set_properties(self, words: frozenset[str]) -> None:
        self.properties = words
        self.is_rmw = "rmw" in words
        self.loads, self.stores = self.is_rmw or "load" in words, self.is_rmw or "store" in words
        self.is_atomic = "atomic" in words
        self.may_trap = "trap" in words or bool(self.width)
        self.calls, self.is_tail_call, self.throws = "call" in words, "tail" in words, "throw" in words
        self.is_final, self.is_default = "final" in words, "default" in words
        self.is_const, self.extends_sign, self.is_nullable = "const" in words, "signed" in words, "nullable" in words
        self.takes_descriptor, self.on_failure = "descriptor" in words, "fail" in words
        self.is_packed, self.splats = "packed" in words, "splat" in words
        self.is_relation = "relation" in words
        self.opens = "block" in self.immediates
        self.has_lane = "lane" in self.immediates

    def __repr__(self) -> str:
        return self.mnemonic

    def __reduce__(self) -> tuple[Any, ...]:
        return form, (self.mnemonic,)


class Instr(NamedTuple):
    """An instruction: its form and its operands. Those without operands are shared objects."""

    form: Form
    args: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        return " ".join([self.form.mnemonic, *map(repr, self.args)])


class MemArg(NamedTuple):
    """Static part of a memory access: memory index, alignment (exponent of two) and offset in bytes."""

    memory: int
    align: int
    offset: int


class Catch(NamedTuple):
    """A handler clause of ``try_table``: kind ("catch", "catch_ref", "catch_all", "catch_all_ref"), tag and label.

    ``tag`` is None for the two ``catch_all`` kinds.
    """

    kind: str
    tag: int | None
    label: int

    @property
    def gives_reference(self) -> bool:
        """Whether the label takes the exception itself, too."""
        return self.kind in ("catch_ref", "catch_all_ref")


class On(NamedTuple):
    """A handler of ``resume`` and its like (stack-switching proposal): for suspensions with ``tag`` it is a ``label``,
    for switches None."""

    tag: int
    label: int | None


#: Binary codes of the handler clauses (5.4.1).
CATCH_KINDS: tuple[str, ...] = ("catch", "catch_ref", "catch_all", "catch_all_ref")

#: Forms by mnemonic, in the order of the table.
FORMS: dict[str, Form] = {row[0]: Form(*row, feature) for feature, rows in FORMS_BY_FEATURE.items() for row in rows}

#: Instructions without operands.
PLAIN: dict[str, Instr] = {name: Instr(f) for name, f in FORMS.items() if f.immediates in ((), ("zero",))}

END = PLAIN["end"]

#: What opens a block.
OPENERS = frozenset(name for name, form in FORMS.items() if form.opens)


def form(mnemonic: str) -> Form:
    """The form of that mnemonic; KeyError if there is none."""
    return FORMS[mnemonic]


def instr(mnemonic: str, *args: Any) -> Instr:
    """Build an instruction from its mnemonic and operands."""
    return PLAIN[mnemonic] if not args else Instr(FORMS[mnemonic], args)
