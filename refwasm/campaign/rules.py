"""Where the specification says what an instruction does: the page and anchor of WebAssembly 3.0, Core."""

from __future__ import annotations

import re

from refwasm.execution.numerics.table import is_numeric
from refwasm.syntax.instructions import FORMS

SITE = "https://webassembly.github.io/spec/core/"
_CONVERSIONS = ("wrap", "extend", "trunc", "convert", "demote", "promote", "reinterpret", "narrow")
#: Beginnings of names of instructions, and the sections that have their rules.
_SECTIONS = (
    ("memory.", "exec/instructions.html#memory-instructions", "4.6.8 Memory instructions"),
    ("table.", "exec/instructions.html#table-instructions", "4.6.9 Table instructions"),
    ("ref.", "exec/instructions.html#reference-instructions", "4.6.10 Reference instructions"),
    ("struct.", "exec/instructions.html#aggregate-instructions", "4.6.11 Aggregate instructions"),
    ("array.", "exec/instructions.html#aggregate-instructions", "4.6.11 Aggregate instructions"),
    ("v128.", "exec/instructions.html#vector-instructions", "4.6.12 Vector instructions"),
)


def rule(kind: str) -> tuple[str, str]:
    """The title and the address of the rule for the kind of an item: an instruction, perhaps with words around it."""
    mnemonic = next((word for word in kind.split() if word in FORMS), "")
    form = FORMS.get(mnemonic)
    if form is None:
        return "4 Execution", SITE + "exec/index.html"
    if form.takes_address:
        return "4.6.8 Memory instructions", SITE + "exec/instructions.html#memory-instructions"
    shape, _, name = mnemonic.partition(".")
    if is_numeric(mnemonic) or "x" in shape:
        return _numeric(shape, name)
    for start, place, title in _SECTIONS:
        if mnemonic.startswith(start):
            return title, SITE + place
    return "4.6 Instructions", SITE + "exec/instructions.html"


def _numeric(shape: str, name: str) -> tuple[str, str]:
    """The rule of a numeric function: its name is the operator's behind the kind of its type."""
    base = re.sub(r"_(f32|f64|i32|i64|i8|i16)x?\d*.*$", "", name)
    kind = "i" if shape[0] in "iv" else "f"
    if "relaxed" in name:
        return f"4.3.6 Relaxed operations: {name}", SITE + "exec/numerics.html#relaxed-operations"
    if base.split("_")[0] in _CONVERSIONS:
        return f"4.3.4 Conversions: {base}", SITE + f"exec/numerics.html#op-{base.replace('_', '-')}"
    if (
        name in ("shuffle", "swizzle", "splat")
        or "lane" in name
        or ("x" in shape and base in ("extadd_pairwise", "dot"))
    ):
        return "4.6.12 Vector instructions", SITE + "exec/instructions.html#vector-instructions"
    section = "4.3.2 Integer operations" if kind == "i" else "4.3.3 Floating-point operations"
    return f"{section}: {kind}{base}", SITE + f"exec/numerics.html#op-{kind}{base.replace('_', '-')}"
