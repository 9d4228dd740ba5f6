"""Show a binary module: sections with their offsets, imports, exports, and code with offsets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.binary import encode
from refwasm.binary.sections import CUSTOM, SECTION_NAMES, sections
from refwasm.cli.files import add_features, load_valid, naming, parse_features, read_file, source_line
from refwasm.execution.instantiation import describe
from refwasm.syntax.modules import Module
from refwasm.syntax.types import FuncUse
from refwasm.text.printer import indented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".wasm, or .wat (which is encoded first)")
    parser.add_argument("--no-code", action="store_true", help="leave out the code")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Print everything."""
    features = parse_features(options.features)
    validated = load_valid(options.file, features)
    data = read_file(options.file)
    if data[:4] != b"\0asm":
        data = encode(validated.module)
        with naming(options.file):
            validated = e.module_validate(e.module_decode(data), features)
    for line in _lines(data, validated, not options.no_code):
        print(line)
    return 0


def _lines(data: bytes, validated: e.Validated, with_code: bool) -> Iterator[str]:
    yield f"{len(data)} bytes"
    yield "\nsections:"
    yield from _sections(data)
    yield "\nimports:"
    for module, name, t in e.module_imports(validated):
        yield f"  {module!r} {name!r}: {describe(t)}"
    yield "\nexports:"
    for (name, t), export in zip(e.module_exports(validated), validated.module.exports):
        yield f"  {name!r}: {describe(t)} (index {export.index})"
    if with_code:
        yield from _code(validated)


def _sections(data: bytes) -> Iterator[str]:
    for section in sections(data):
        detail = repr(section.name) if section.id == CUSTOM else ""
        size = len(section.content)
        yield f"  0x{section.start:06x}  {SECTION_NAMES[section.id]:<11} {size:>8} bytes  {detail}".rstrip()


def _code(validated: e.Validated) -> Iterator[str]:
    module: Module = validated.module
    imported = sum(isinstance(i.type, FuncUse) for i in module.imports)
    for index, func in enumerate(module.funcs, imported):
        name = module.names.of("func", index)
        yield f"\nfunc[{index}]{f' ${name}' if name else ''} {describe(FuncUse(validated.func_types[index]))[5:]}:"
        for count, t in func.locals:
            yield f"          local {t!r} × {count}"
        source = ""
        for position, (spaces, text) in zip(func.positions, indented(func.body)):
            if (line := source_line(module, position)) not in ("", source):
                source = line
                yield f"            ;; {source}"
            yield f"  0x{position:06x}  {spaces}{text}"
