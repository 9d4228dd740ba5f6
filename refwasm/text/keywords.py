"""Tokens that mean something somewhere: what is none of them is an "unknown operator" (specification 6.3)."""

from __future__ import annotations

import re

from refwasm.syntax.instructions import CATCH_KINDS, FORMS
from refwasm.syntax.types import HEAP_TYPES, NUM_TYPES, PACKED_TYPES, REF_ABBREVIATIONS

_NUM, _HEX = r"[0-9](?:_?[0-9])*", r"[0-9A-Fa-f](?:_?[0-9A-Fa-f])*"
_NUMBER = re.compile(
    rf"[+-]?(?:inf|nan(?::0x{_HEX}|:canonical|:arithmetic)?"
    rf"|0x{_HEX}(?:\.(?:{_HEX})?)?(?:[pP][+-]?{_NUM})?|{_NUM}(?:\.(?:{_NUM})?)?(?:[eE][+-]?{_NUM})?)"
)
_ATTRIBUTE = re.compile(rf"(?:offset|align)=(?:{_NUM}|0x{_HEX})")
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"')
_IDENTIFIER = re.compile(r"""\$(?:[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+|"(?:[^"\\]|\\.)*")""")

KEYWORDS = frozenset(
    {
        *(mnemonic.split(" ")[0] for mnemonic in FORMS), *NUM_TYPES, *PACKED_TYPES, *HEAP_TYPES, *REF_ABBREVIATIONS,
        *CATCH_KINDS, "array", "before", "binary", "cont", "data", "declare", "definition", "describes", "descriptor",
        "elem", "exact", "export", "field", "final", "func", "global", "import", "instance", "item", "local",
        "memory", "module", "mut", "null", "offset", "on", "pagesize", "param", "quote", "rec", "ref", "result",
        "shared", "start", "struct", "sub", "table", "tag", "then", "type", "i8x16", "i16x8", "i32x4", "i64x2",
        "f32x4", "f64x2",
    }
)  # fmt: skip


def looks_numeric(token: str) -> bool:
    """Whether a token starts like a number."""
    return token[:1].isdigit() or token[:1] in ("+", "-") or token.startswith(("inf", "nan"))


def is_string(token: str) -> bool:
    """Whether a token is one string, not several without a space between them."""
    return token[:1] == '"' and _STRING.fullmatch(token) is not None


def is_known(token: str) -> bool:
    """Whether a token is a parenthesis, string, identifier, number or keyword."""
    return (
        token in ("(", ")")
        or token in KEYWORDS
        or any(pattern.fullmatch(token) for pattern in (_STRING, _IDENTIFIER, _NUMBER, _ATTRIBUTE))
    )
