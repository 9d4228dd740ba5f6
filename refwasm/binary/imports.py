"""Imports in the binary format (specification 5.5.5), one by itself or in groups."""

from __future__ import annotations

from collections.abc import Sequence

from refwasm.binary import types as t
from refwasm.binary.values import Reader, encode_name
from refwasm.syntax.modules import Import
from refwasm.syntax.types import EXTERN_KINDS, FuncUse

#: Kinds of what is imported and exported, by their codes.
EXPORT_KINDS = ("func", "table", "memory", "global", "tag")


def imports(r: Reader) -> Sequence[Import]:
    """One import (5.5.5), or a group of one module's (compact-import-section proposal): behind an empty name, 0x7F
    begins names with a type each, 0x7E one type and the names."""
    module, name = r.name(), r.name()
    kind = r.data[r.pos] if r.pos < r.end and not name else 0
    if kind not in (0x7F, 0x7E):
        return (Import(module, name, t.extern_type(r)),)
    r.byte()
    if kind == 0x7F:
        return r.vector(lambda: Import(module, r.name(), t.extern_type(r), True))
    shared = t.extern_type(r)
    return r.vector(lambda: Import(module, r.name(), shared, True))


def encode_import(item: Import) -> bytes:
    kind = EXPORT_KINDS.index(EXTERN_KINDS[type(item.type)])
    if isinstance(item.type, FuncUse) and item.type.exact:
        kind = t.EXACT_FUNC
    return encode_name(item.module) + encode_name(item.name) + bytes([kind]) + t.encode_extern_type(item.type)
