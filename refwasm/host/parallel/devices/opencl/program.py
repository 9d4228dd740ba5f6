"""A kernel as a device program: its functions, the state of a work-item, and two entries.

``run_one`` runs one iteration in each work-item. ``run_many`` runs the iterations of several units one after the other,
for groupings and instances that are shared. What a trap tells is in the words at ``told``: whether there was one, its
code, the iteration, and how many active calls follow as (function, number of the instruction), innermost first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from refwasm import embedding as e
from refwasm.host.parallel.devices.device import Unsupported
from refwasm.host.parallel.devices.opencl.operations import C_TYPES
from refwasm.host.parallel.devices.opencl.spelling import preamble
from refwasm.host.parallel.devices.opencl.translation import Signatures, Translation, constant, name_of
from refwasm.host.parallel.devices.opencl.waiting import waits
from refwasm.host.parallel.kernels import Kernel
from refwasm.syntax.modules import Module
from refwasm.syntax.types import FuncType, FuncUse

#: Active calls that a trap tells at most, and the words at ``told``.
FRAMES, TOLD_WORDS = 50, 4 + 2 * 50
#: A kernel's arguments must fit into the least space that devices have for them, 1,024 bytes.
MAX_ARGUMENTS = 200
#: Nor may a program be so large that compilers take minutes.
MAX_INSTRUCTIONS = 200_000

_STATE = """typedef struct {{ SHARED_WORDS told; u32 iteration; u32 owner; {fields} }} State;
INSIDE void reset(State *s) {{ {initial} }}
INSIDE void trap(State *s, u32 code, u32 function, u32 number) {{
  if (CAS32(s->told, 0, 1) == 0) {{
    s->owner = 1; s->told[1] = code; s->told[2] = s->iteration; s->told[3] = 1;
    s->told[4] = function; s->told[5] = number; }} }}
INSIDE void frame(State *s, u32 function, u32 number) {{
  if (s->owner && s->told[3] < {frames}) {{
    u32 k = s->told[3]++; s->told[4 + 2 * k] = function; s->told[5 + 2 * k] = number; }} }}"""

_ENTRIES = """ENTRY void run_one(SHARED_BYTES m, u64 size, SHARED_WORDS told, u64 first, u64 items,
    u32 count, u32 block{pairs}) {{
  u64 id = first + ITEM;
  if (id >= items || told[0]) return;
  State state; State *s = &state; s->told = told; s->owner = 0; s->iteration = (u32)id; reset(s);
  f{function}(m, size, s, (u32)id, count, block{given}); }}
ENTRY void run_many(SHARED_BYTES m, u64 size, SHARED_WORDS told, u64 first, u64 items, u32 count, u32 block,
    u64 units, u64 unit, u64 per, u64 start, u64 step, u32 fresh{pairs}) {{
  u64 item = first + ITEM;
  if (item >= items || told[0]) return;
  State state; State *s = &state; s->told = told; s->owner = 0; reset(s);
  for (u64 position = item * per; position < (item + 1) * per && position < units; position++) {{
    u64 u = (start + step * position) % units;
    for (u64 id = u * unit; id < (u + 1) * unit && id < count; id++) {{
      s->iteration = (u32)id;
      if (fresh) reset(s);
      if (f{function}(m, size, s, (u32)id, count, block{given})) return; }} }} }}"""


@dataclass(frozen=True, eq=False)
class DeviceProgram:
    """A translated kernel: the text, and whether it needs floats, of 64 bits too."""

    text: str
    needs_float: bool
    needs_double: bool


def translate(kernel: Kernel, instance: e.ModuleInst, language: str) -> DeviceProgram:
    """The program for a kernel whose globals and tables start as in an instance. Raises Unsupported with the reason."""
    module = kernel.validated.module
    signatures = _signatures(kernel, instance)
    entry = next(x.index for x in module.exports if x.name == "kernel" and x.kind == "func")
    order = _called_first(module, signatures, entry)
    bodies = {index: module.funcs[index].body for index in order}
    if waits(bodies, {index: _callees(module, signatures, index) for index in order}, order):
        raise Unsupported("a loop that may wait for other iterations: they need not run together")
    arguments = 2 * kernel.buffers
    if arguments > MAX_ARGUMENTS:
        raise Unsupported(f"{arguments} arguments: devices promise to take {MAX_ARGUMENTS}")
    functions = [Translation(module, signatures, index) for index in order]
    texts = [function.text() for function in functions]
    used = _used_segments(module, order)
    pairs = "".join(f", u32 p{k}" for k in range(arguments))
    given = "".join(f", p{k}" for k in range(arguments))
    parts = [
        preamble(language), *_datas(module, used), _state(module, instance, signatures, used), *texts,
        _ENTRIES.format(pairs=pairs, given=given, function=entry),
    ]  # fmt: skip
    names = {i.form.mnemonic for body in bodies.values() for i in body}
    doubles = any("f64" in name for name in names)
    floats = doubles or any("f32" in name for name in names)
    return DeviceProgram("\n".join(parts), floats, doubles)


def _signatures(kernel: Kernel, instance: e.ModuleInst) -> Signatures:
    validated = kernel.validated
    if len(instance.memories) > 1:
        raise Unsupported("a second memory")
    globals_ = [name_of(cell.type.value) for cell in instance.globals]
    types, functions = instance.types, validated.func_types

    def same_type(function: int, index: int) -> bool:
        return e.match_extern_type(FuncUse(functions[function]), FuncUse(types[index]))

    tables = [
        [item.index if isinstance(item, e.FuncInst) else None for item in table.elements] for table in instance.tables
    ]
    composites: list[FuncType] = [t.composite for t in functions]  # type: ignore[misc]
    return Signatures(composites, types, globals_, tables, same_type)


def _called_first(module: Module, signatures: Signatures, entry: int) -> list[int]:
    """The functions that a kernel reaches, each after those that it calls. Raises Unsupported for recursion."""
    order: list[int] = []
    active: list[int] = []
    size = 0
    pending: list[tuple[int, Iterator[int]]] = [(entry, iter(_callees(module, signatures, entry)))]
    active.append(entry)
    while pending:
        function, callees = pending[-1]
        following = next((callee for callee in callees if callee not in order), None)
        if following is None:
            pending.pop()
            active.pop()
            order.append(function)
            size += len(module.funcs[function].body)
        elif following in active:
            raise Unsupported(f"recursion: function {following} calls itself")
        else:
            pending.append((following, iter(_callees(module, signatures, following))))
            active.append(following)
    if size > MAX_INSTRUCTIONS:
        raise Unsupported(f"{size} instructions: a device program has at most {MAX_INSTRUCTIONS}")
    return order


def _callees(module: Module, signatures: Signatures, function: int) -> list[int]:
    """What a function may call, each once."""
    found: dict[int, None] = {}
    for instruction in module.funcs[function].body:
        name = instruction.form.mnemonic
        if name in ("call", "return_call"):
            found[instruction.args[0]] = None
        elif name in ("call_indirect", "return_call_indirect"):
            type_index, table = instruction.args
            for held in signatures.tables[table]:
                if held is not None and signatures.same_type(held, type_index):
                    found[held] = None
    return list(found)


def _used_segments(module: Module, order: Sequence[int]) -> list[int]:
    """Data segments that instructions name."""
    names = ("memory.init", "data.drop")
    return sorted({i.args[0] for index in order for i in module.funcs[index].body if i.form.mnemonic in names})


def _datas(module: Module, used: Sequence[int]) -> list[str]:
    """Segments that instructions copy from."""
    return [f"FIXED u8 data{index}[] = {{{', '.join(map(str, module.datas[index].init)) or '0'}}};" for index in used]


def _state(module: Module, instance: e.ModuleInst, signatures: Signatures, used: Sequence[int]) -> str:
    """The state of a work-item: globals, and which segments were dropped."""
    fields, initial = [], []
    for index, (cell, t) in enumerate(zip(instance.globals, signatures.globals)):
        fields.append(f"{C_TYPES[t]} g{index};")
        initial.append(f"s->g{index} = {constant(t, cell.value)};")
    for index in used:
        fields.append(f"u32 dropped{index};")
        initial.append(f"s->dropped{index} = {int(module.datas[index].mode == 'active')};")
    return _STATE.format(fields=" ".join(fields), initial=" ".join(initial), frames=FRAMES)


def told(words: bytes) -> tuple[int, int, list[tuple[int, int]]] | None:
    """What a trap told: its code, the iteration, and the active calls; None if there was none."""
    values = struct.unpack(f"<{TOLD_WORDS}I", words)
    if not values[0]:
        return None
    count = min(values[3], FRAMES)
    return values[1], values[2], [(values[4 + 2 * k], values[5 + 2 * k]) for k in range(count)]
