"""Show a binary module: sections with their offsets, imports, exports, and code with offsets."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.binary import encode
from refwasm.binary.sections import CUSTOM, SECTION_NAMES, sections
from refwasm.cli.files import add_features, load_valid, naming, parse_features, read_file, source_line
from refwasm.cli.reporting import add_json, write_document
from refwasm.execution.instantiation import describe
from refwasm.reports.documents.modules import Dump, External, Function, Instruction, Section
from refwasm.syntax.modules import Module
from refwasm.syntax.types import FuncUse
from refwasm.text.printer import indented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=".wasm, or .wat (which is encoded first)")
    parser.add_argument("--no-code", action="store_true", help="leave out the code")
    add_json(parser)
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
    found = _dump(options.file, data, validated, not options.no_code)
    for line in _lines(found, not options.no_code):
        print(line)
    write_document(options, found)
    return 0


def _dump(file: str, data: bytes, validated: e.Validated, with_code: bool) -> Dump:
    listed = [
        Section(s.start, SECTION_NAMES[s.id], len(s.content), s.name if s.id == CUSTOM else "") for s in sections(data)
    ]  # fmt: skip
    imports = [External(name, describe(t), module) for module, name, t in e.module_imports(validated)]
    exports = [
        External(name, describe(t), index=export.index)
        for (name, t), export in zip(e.module_exports(validated), validated.module.exports)
    ]
    return Dump(file, len(data), listed, imports, exports, list(_functions(validated)) if with_code else [])


def _functions(validated: e.Validated) -> Iterator[Function]:
    imported = sum(isinstance(i.type, FuncUse) for i in validated.module.imports)
    for index in range(imported, imported + len(validated.module.funcs)):
        yield function_document(validated, index)


def function_document(validated: e.Validated, index: int) -> Function:
    """A function with its code, and the source lines that are known."""
    module: Module = validated.module
    func = module.funcs[index - sum(isinstance(i.type, FuncUse) for i in module.imports)]
    code, source = [], ""
    for number, (spaces, text) in enumerate(indented(func.body)):
        position = func.positions[number] if number < len(func.positions) else 0
        line = source_line(module, position)
        code.append(Instruction(position, len(spaces) // 2, text, line if line != source else ""))
        source = line or source
    kinds = [f"{t!r} × {count}" for count, t in func.locals]
    name = module.names.of("func", index) or ""
    return Function(index, name, describe(FuncUse(validated.func_types[index]))[5:], kinds, code)


def _lines(found: Dump, with_code: bool) -> Iterator[str]:
    yield f"{found.size} bytes"
    yield "\nsections:"
    for section in found.sections:
        detail = repr(section.custom) if section.name == SECTION_NAMES[CUSTOM] else ""
        yield f"  0x{section.offset:06x}  {section.name:<11} {section.size:>8} bytes  {detail}".rstrip()
    yield "\nimports:"
    for item in found.imports:
        yield f"  {item.module!r} {item.name!r}: {item.type}"
    yield "\nexports:"
    for item in found.exports:
        yield f"  {item.name!r}: {item.type} (index {item.index})"
    for func in found.functions if with_code else ():
        yield from _code(func)


def _code(func: Function) -> Iterator[str]:
    yield f"\nfunc[{func.index}]{f' ${func.name}' if func.name else ''} {func.type}:"
    for text in func.locals:
        yield f"          local {text}"
    for item in func.code:
        if item.source:
            yield f"            ;; {item.source}"
        yield f"  0x{item.offset:06x}  {'  ' * item.depth}{item.text}"
