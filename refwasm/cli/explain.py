"""Show what a function is compiled to: its instructions, the Python, and the facts that were used.

Behind a line of Python stand the offsets (in text: the places) of the instructions that can trap or call in it. In the
Python, ``l0 l1 …`` are locals, ``t0 t1 …`` what was on the operand stack; ``u32_m0_8[a & 3][a >> 2]`` is the word of
memory 0 at address a, offset 8.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.cli import UsageError
from refwasm.cli.dump import function_document
from refwasm.cli.files import add_features, load_valid, naming, parse_features, source_line
from refwasm.cli.reporting import add_json, write_document
from refwasm.execution.instantiation import describe
from refwasm.reports.documents.modules import Explanation, PythonLine
from refwasm.syntax.modules import Func
from refwasm.syntax.types import FuncUse
from refwasm.text.printer import indented


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a module in either format")
    parser.add_argument("func", metavar="FUNC", help="index, name or export of the function")
    parser.add_argument("--fuel", action="store_true", help="as compiled when fuel is counted")
    parser.add_argument("--limits", action="store_true", help="as compiled under a time limit")
    add_json(parser)
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Print everything."""
    validated = load_valid(options.file, parse_features(options.features))
    index = _index(validated, options.func)
    with naming(options.file):
        found = e.func_explain(validated, index, options.fuel, options.limits)
    for line in _lines(validated, index, found):
        print(line)
    write_document(options, _document(options.file, validated, index, found))
    return 0


def _document(file: str, validated: e.Validated, index: int, found: e.Explanation) -> Explanation:
    module = validated.module
    func = module.funcs[index - sum(isinstance(i.type, FuncUse) for i in module.imports)]
    python = [PythonLine(line, [_place(validated, func, pc) for pc in places]) for line, places in found.lines]
    return Explanation(file, function_document(validated, index), python, list(found.notes))


def _index(validated: e.Validated, text: str) -> int:
    """The function that an index, a name or an export means."""
    module, count = validated.module, len(validated.func_types)
    if text.isascii() and text.isdigit():
        if len(text) < 10 and int(text) < count:
            return int(text)
        raise UsageError(f"there is no function {text}: the module has {count}")
    for index, name in module.names.maps.get("func", {}).items():
        if name == text.removeprefix("$") and index < count:
            return index
    for export in module.exports:
        if export.kind == "func" and export.name == text:
            return export.index
    raise UsageError(f"there is no function {text!r}")


def _lines(validated: e.Validated, index: int, found: e.Explanation) -> Iterator[str]:
    module = validated.module
    func = module.funcs[index - sum(isinstance(i.type, FuncUse) for i in module.imports)]
    name = module.names.of("func", index)
    yield f"func[{index}]{f' ${name}' if name else ''} {describe(FuncUse(validated.func_types[index]))[5:]}"
    source = ""
    for pc, (spaces, text) in enumerate(indented(func.body)):
        if pc < len(func.positions) and (line := source_line(module, func.positions[pc])) not in ("", source):
            source = line
            yield f"{'':17}  ;; {source}"
        yield f"  {pc:>5}  {_place(validated, func, pc):>10}  {spaces}{text}"
    yield "\npython:"
    for line, instructions in found.lines:
        places = ", ".join(_place(validated, func, pc) for pc in instructions)
        yield f"  {line:<78}  # {places}" if places else f"  {line}"
    yield "\nfacts:"
    for note in found.notes or ["none"]:
        yield f"  {note}"


def _place(validated: e.Validated, func: Func, pc: int) -> str:
    locate = validated.module.locate
    return locate(func.positions[pc]).split(" ")[0] if locate is not None and pc < len(func.positions) else ""
