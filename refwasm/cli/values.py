"""Values on the command line: read and written as constants of the text format.

=========  ========================================================================
type       text
=========  ========================================================================
i32, i64   ``5``, ``-0x10``
f32, f64   ``1.5``, ``0x1p-3``, ``inf``, ``-nan:0x123``
v128       ``i32x4 1 2 3 4``, ``f64x2 0.5 nan``
reference  ``ref.null``, ``ref.i31 7``, ``ref.extern 1`` (something of the host's)
=========  ========================================================================

An argument may also be written out: ``i32.const 5``, ``(v128.const i64x2 1 2)``. Results may be ``ref.func``,
``ref.struct``, ``ref.array`` and ``ref.exn`` besides.
"""

from __future__ import annotations

from typing import Any

from refwasm import embedding as e
from refwasm.cli import UsageError
from refwasm.errors import Malformed
from refwasm.syntax.types import I32, NumType, ValType

_I31_MASK = (1 << 31) - 1
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((e.FuncInst, e.HostFunc), "ref.func"), (e.StructInst, "ref.struct"), (e.ArrayInst, "ref.array"),
    (e.ExnInst, "ref.exn"),
)  # fmt: skip


def arguments(texts: list[str], types: tuple[ValType, ...]) -> list[Any]:
    """Internal values of arguments; UsageError says what is wrong."""
    if len(texts) != len(types):
        raise UsageError(f"the function takes {len(types)} arguments ({' '.join(map(repr, types))}), got {len(texts)}")
    return [_argument(text, t) for text, t in zip(texts, types)]


def _argument(text: str, t: ValType) -> Any:
    words = text.removeprefix("(").removesuffix(")").split() if text.startswith("(") else text.split()
    if isinstance(t, NumType):
        if words[:1] == [f"{t.name}.const"]:
            words = words[1:]
        return _vector(words, text) if t.name == "v128" else _number(words, text, t)
    value = _reference(words, text)
    if not e.value_has_type(value, t):
        raise UsageError(f"{text!r} is no {t!r}")
    return value


def _number(words: list[str], text: str, t: NumType) -> int:
    from refwasm.text.numbers import parse_float, parse_int  # not at start-up: programs don't need the text format

    try:
        (word,) = words
        return parse_int(word, t.bits) if t.name[0] == "i" else parse_float(word, t.bits)
    except ValueError:
        raise UsageError(f"{text!r} is no {t!r}") from None


def _vector(words: list[str], text: str) -> int:
    from refwasm.text.cursor import Cursor
    from refwasm.text.lexer import END_OF_INPUT, Source
    from refwasm.text.operands import vector

    try:
        cursor = Cursor(Source(" ".join(words) + " )"))
        bits, *lanes = vector(cursor)
        cursor.close()
        if cursor.peek() != END_OF_INPUT:
            cursor.unexpected()
    except Malformed as error:
        raise UsageError(f"{text!r} is no v128 ({error.message}); write i32x4 1 2 3 4, say") from None
    assert bits is not None
    return sum((lane or 0) << bits * index for index, lane in enumerate(lanes))


def _reference(words: list[str], text: str) -> Any:
    if words[:1] in (["ref.null"], ["null"]) and len(words) <= 2:
        return None
    if len(words) == 2 and words[0] in ("ref.i31", "ref.extern", "ref.host"):
        number = _number(words[1:], text, I32)
        return e.I31(number & _I31_MASK) if words[0] == "ref.i31" else e.HostRef(number)
    raise UsageError(f"{text!r} is no reference that can be made here: write ref.null, ref.i31 N or ref.extern N")


def show(value: Any, t: ValType) -> str:
    """A result, as it could be passed."""
    from refwasm.text.numbers import print_float, print_int
    from refwasm.text.printer import print_vector

    if isinstance(t, NumType):
        if t.name == "v128":
            return print_vector(value)
        return print_float(value, t.bits) if t.name[0] == "f" else print_int(value, t.bits)
    if value is None:
        return "ref.null"
    if isinstance(value, e.I31):
        return f"ref.i31 {int(value)}"
    if isinstance(value, e.HostRef):
        return f"ref.extern {value.value}"
    return next((word for kind, word in _KINDS if isinstance(value, kind)), repr(value))
