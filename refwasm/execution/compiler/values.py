"""Operands as expressions: what stands on the operand stack while a function is translated.

A value is text of a Python expression together with what must be known to move it: which locals it reads, and whether
it is *ordered*, that is, may trap or depends on memory or globals. Unordered values can be evaluated before one
of their locals changes; ordered ones only before the next effect.

Text may hold marks: ``START pc MIDDLE text END`` around what can trap or call, so that the position of a failure in the
generated line leads back to the instruction (:mod:`.source`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from refwasm.execution.numerics import TEMPLATES

START, MIDDLE, END = "\x02", "\x03", "\x04"
_NAME = re.compile(r"\b[ab]\b")
_TRUTH = re.compile(r"1 if (.*) else 0")


class Value(NamedTuple):
    """An operand. ``atom`` tells that the text is a name or a number, ``truth`` is the same as a condition."""

    text: str
    locals: frozenset[int] = frozenset()
    ordered: bool = False
    atom: bool = False
    truth: str = ""

    @property
    def condition(self) -> str:
        """Text that is true where the value is not zero."""
        return self.truth or self.text


def constant(value: int) -> Value:
    """A number."""
    return Value(str(value) if value < 1 << 20 else hex(value), atom=True)


def name(text: str) -> Value:
    """A variable of the function's that is written once."""
    return Value(text, atom=True)


def local(index: int) -> Value:
    """What a local holds now."""
    return Value(f"l{index}", frozenset((index,)), atom=True)


def marked(pc: int, text: str) -> str:
    """Text that belongs to an instruction."""
    return f"{START}{pc}{MIDDLE}{text}{END}"


def uses(mnemonic: str) -> tuple[int, int]:
    """How often the template of an instruction names its operands."""
    found = _NAME.findall(TEMPLATES[mnemonic])
    return found.count("a"), found.count("b")


def in_template(mnemonic: str, operands: list[Value]) -> Value:
    """A template with its operands in place: atoms where it names them more than once."""
    texts = dict(zip("ab", (operand.text for operand in operands)))
    text = _NAME.sub(lambda found: texts[found[0]], TEMPLATES[mnemonic])
    truth = _TRUTH.fullmatch(text)
    return Value(
        f"({text})",
        frozenset().union(*(operand.locals for operand in operands)),
        any(operand.ordered for operand in operands),
        truth=f"({truth[1]})" if truth else _negated(mnemonic, operands),
    )


def _negated(mnemonic: str, operands: list[Value]) -> str:
    """``eqz`` as a condition."""
    return f"(not {operands[0].condition})" if mnemonic.endswith(".eqz") else ""
