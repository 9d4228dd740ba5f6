"""The name section (specification, appendix "Custom Sections"), both directions."""

from __future__ import annotations

from refwasm.binary.values import Reader, encode_name, encode_unsigned, encode_vector
from refwasm.errors import Malformed
from refwasm.syntax.modules import NameMap, Names

SECTION = "name"
MODULE = 0
#: Plain maps by subsection id; ids 2, 3 and 10 are the indirect ones.
PLAIN_MAPS = {1: "func", 4: "type", 5: "table", 6: "memory", 7: "global", 8: "elem", 9: "data", 11: "tag"}
INDIRECT_MAPS = {2: "local", 3: "label", 10: "field"}


def _name_map(r: Reader) -> NameMap:
    return dict(r.vector(lambda: (r.u32(), r.name())))


def decode_names(content: bytes) -> Names | None:
    """The names, or None if the section is malformed: that must not make the module so."""
    r = Reader(content)
    module: str | None = None
    maps: dict[str, NameMap] = {}
    indirect: dict[str, dict[int, NameMap]] = {}
    try:
        while r.pos < r.end:
            kind = r.byte()
            size = r.length()
            end = r.pos + size
            if kind == MODULE:
                module = r.name()
            elif kind in PLAIN_MAPS:
                maps[PLAIN_MAPS[kind]] = _name_map(r)
            elif kind in INDIRECT_MAPS:
                indirect[INDIRECT_MAPS[kind]] = dict(r.vector(lambda: (r.u32(), _name_map(r))))
            else:
                return None  # an extension that we could not write back
            if r.pos != end:
                return None
    except Malformed:
        return None
    return Names(module, maps, indirect)


def _encode_map(names: NameMap) -> bytes:
    return encode_vector([encode_unsigned(index) + encode_name(name) for index, name in sorted(names.items())])


def encode_names(names: Names) -> bytes:
    """The contents of a name section; empty if there are no names."""
    subsections: dict[int, bytes] = {}
    if names.module is not None:
        subsections[MODULE] = encode_name(names.module)
    for kind, word in PLAIN_MAPS.items():
        if names.maps.get(word):
            subsections[kind] = _encode_map(names.maps[word])
    for kind, word in INDIRECT_MAPS.items():
        if names.indirect.get(word):
            entries = sorted(names.indirect[word].items())
            subsections[kind] = encode_vector([encode_unsigned(i) + _encode_map(m) for i, m in entries])
    return b"".join(bytes([k]) + encode_unsigned(len(raw)) + raw for k, raw in sorted(subsections.items()))
