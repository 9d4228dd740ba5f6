"""Outcomes, values and verdicts as JSON: what the server and engines in processes of their own speak.

A value is ``{"type": "f32", "bits": "0x7fc00000"}``, with ``"open"`` where bits are open; bytes are base64.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from refwasm.oracle.outcomes import (
    CLASSES,
    Exhausted,
    Limited,
    Outcome,
    Refused,
    Returned,
    Threw,
    Trapped,
    Value,
    Verdict,
)

#: The version of the protocol; it changes when a client could notice.
PROTOCOL = 1
_BITS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "v128": 128}


class BadMessage(Exception):
    """A message that is not one of the protocol's: what was expected, and found."""


def field(message: Any, name: str, kind: type) -> Any:
    """A field of an object, of that type. Raises BadMessage."""
    found = message.get(name) if isinstance(message, dict) else None
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise BadMessage(f"{name!r}: expected {_KINDS[kind]}, found {_shown(found)}")
    return found


_KINDS: dict[type, str] = {str: "a string", int: "an integer", list: "a list", dict: "an object"}


def _shown(value: Any) -> str:
    text = repr(value)
    return "nothing" if value is None else text if len(text) < 60 else text[:57] + "..."


def bytes_from(text: str) -> bytes:
    """Bytes from base64. Raises BadMessage."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage(f"expected base64: {error}") from None


def bytes_to(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode()


def value_from(message: Any) -> Value:
    """A value. Raises BadMessage."""
    kind, text = field(message, "type", str), field(message, "bits", str)
    if kind != "ref" and kind not in _BITS:
        raise BadMessage(f"'type': expected one of {', '.join(_BITS)}, ref; found {_shown(kind)}")
    try:
        bits = int(text, 0)
    except ValueError:
        raise BadMessage(f"'bits': expected a number such as 0x1f, found {_shown(text)}") from None
    limit = len(CLASSES) if kind == "ref" else 1 << _BITS[kind]
    if not 0 <= bits < limit:
        raise BadMessage(f"'bits': {_shown(text)} is no {kind}")
    return Value(kind, bits)


def value_to(value: Value) -> dict[str, Any]:
    """A value as JSON."""
    message = {"type": value.type, "bits": hex(value.bits)}
    return {**message, "open": hex(value.open)} if value.open else message


def outcome_from(message: Any) -> Outcome:
    """An outcome. Raises BadMessage."""
    kind = field(message, "kind", str)
    if kind == "returned":
        return Returned(tuple(map(value_from, field(message, "values", list))))
    if kind == "trap":
        return Trapped(field(message, "trap", str))
    if kind == "exception":
        tag = message.get("tag")
        return Threw(
            None if tag is None else field(message, "tag", int),
            tuple(map(value_from, field(message, "payload", list) if "payload" in message else [])),
        )
    if kind == "exhausted":
        return Exhausted()
    if kind == "limit":
        return Limited(field(message, "reason", str))
    if kind == "refused":
        return Refused(field(message, "stage", str), field(message, "reason", str))
    raise BadMessage(f"'kind': unknown outcome {_shown(kind)}")


def outcome_to(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    if isinstance(outcome, Returned):
        return {"kind": "returned", "values": list(map(value_to, outcome.values))}
    if isinstance(outcome, Trapped):
        return {"kind": "trap", "trap": outcome.kind}
    if isinstance(outcome, Threw):
        return {"kind": "exception", "tag": outcome.tag, "payload": list(map(value_to, outcome.payload))}
    if isinstance(outcome, Exhausted):
        return {"kind": "exhausted"}
    if isinstance(outcome, Limited):
        return {"kind": "limit", "reason": outcome.reason}
    return {"kind": "refused", "stage": outcome.stage, "reason": outcome.reason}


def verdict_to(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    message: dict[str, Any] = {"verdict": verdict.kind}
    if verdict.where:
        message["where"] = verdict.where
    if verdict.reason:
        message["reason"] = verdict.reason
    if verdict.kind == "differs":
        message["expected"], message["observed"] = repr(verdict.expected), repr(verdict.observed)
    return message
