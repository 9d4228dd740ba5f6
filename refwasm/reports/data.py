"""Dataclasses as JSON: written, read back with every value checked, and described by a JSON Schema.

A field's type says what it may hold: ``str``, ``int``, ``float``, ``bool``, another dataclass, ``list[T]``,
``dict[str, T]``, ``T | None``; ``Annotated[T, "text"]`` says what it means. So the classes are the only definition of a
format.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import cache
from typing import Any

from refwasm.errors import did_you_mean

_SCALARS: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


class BadDocument(ValueError):
    """Data that has not the form of its format: where, what is expected, what is there."""


def to_data(value: Any) -> Any:
    """A dataclass as what :mod:`json` writes."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_data(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_data(item) for key, item in value.items()}
    return value


def from_data(t: Any, data: Any, where: str = "$") -> Any:
    """A value of a type from JSON. BadDocument: the data has another form."""
    t, _ = _meaning(t)
    origin, args = typing.get_origin(t), typing.get_args(t)
    if dataclasses.is_dataclass(t):
        return _instance(t, data, where)
    if origin is list and isinstance(data, list):
        return [from_data(args[0], item, f"{where}[{index}]") for index, item in enumerate(data)]
    if origin is dict and isinstance(data, dict):
        return {key: from_data(args[1], item, f"{where}.{key}") for key, item in data.items()}
    if origin in (types.UnionType, typing.Union):
        return None if data is None else from_data(_present(args), data, where)
    if t is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if t in _SCALARS and isinstance(data, t) and (t is bool or not isinstance(data, bool)):
        return data
    raise BadDocument(f"{where}: expected {_name(t)}, found {_shown(data)}")


def schema(t: Any) -> dict[str, Any]:
    """The JSON Schema of a dataclass; classes in it are definitions (``$defs``)."""
    definitions: dict[str, Any] = {}
    _describe(t, definitions)
    whole = definitions.pop(t.__name__)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole, "$defs": definitions}


@cache
def fields(t: Any) -> dict[str, Any]:
    """The fields of a dataclass with their types, annotations included."""
    return typing.get_type_hints(t, include_extras=True)


def meaning(t: Any) -> str:
    """What a field's annotation says of it; "" without one."""
    return _meaning(t)[1]


def _meaning(t: Any) -> tuple[Any, str]:
    if typing.get_origin(t) is typing.Annotated:
        inner, text, *_ = typing.get_args(t)
        return inner, str(text)
    return t, ""


def _present(args: tuple[Any, ...]) -> Any:
    """The type of an optional value that is there."""
    (found,) = (arg for arg in args if arg is not type(None))
    return found


def _instance(t: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise BadDocument(f"{where}: expected an object ({t.__name__}), found {_shown(data)}")
    known = fields(t)
    for name in data:
        if name not in known:
            raise BadDocument(f"{where}: unknown field {name!r}{did_you_mean(name, known)}")
    for field in dataclasses.fields(t):
        if field.name not in data and field.default is field.default_factory is dataclasses.MISSING:
            raise BadDocument(f"{where}: the field {field.name!r} is missing")
    return t(**{name: from_data(known[name], value, f"{where}.{name}") for name, value in data.items()})


def _name(t: Any) -> str:
    origin = typing.get_origin(t) or t
    return {list: "an array", dict: "an object"}.get(origin) or f"a value of type {_SCALARS.get(origin, repr(origin))}"


def _shown(data: Any) -> str:
    text = repr(data)
    return text if len(text) < 60 else f"{text[:57]}…"


def _describe(t: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    t, text = _meaning(t)
    told = {"description": text} if text else {}
    origin, args = typing.get_origin(t), typing.get_args(t)
    if t in _SCALARS:
        return {"type": _SCALARS[t], **told}
    if origin is list:
        return {"type": "array", "items": _describe(args[0], definitions), **told}
    if origin is dict:
        return {"type": "object", "additionalProperties": _describe(args[1], definitions), **told}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_describe(_present(args), definitions), {"type": "null"}], **told}
    if t.__name__ not in definitions:
        definitions[t.__name__] = {}  # a class may hold others of its kind
        definitions[t.__name__] = _object(t, definitions)
    return {"$ref": f"#/$defs/{t.__name__}", **told}


def _object(t: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    required = [
        field.name
        for field in dataclasses.fields(t)
        if field.default is field.default_factory is dataclasses.MISSING
    ]  # fmt: skip
    return {
        "title": t.__name__,
        "description": " ".join((t.__doc__ or "").split()),
        "type": "object",
        "properties": {name: _describe(kind, definitions) for name, kind in fields(t).items()},
        "required": required,
        "additionalProperties": False,
    }
