"""Instructions that access memory, as C statements: each checks its bounds first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refwasm.host.parallel.devices.device import Unsupported
from refwasm.host.parallel.devices.opencl.operations import C_TYPES
from refwasm.syntax.instructions import Instr, MemArg

if TYPE_CHECKING:
    from refwasm.host.parallel.devices.opencl.translation import Translation

OUTSIDE = "out of bounds memory access"
_LOAD = re.compile(r"(i32|i64|f32|f64)\.load(?:(8|16|32)_([su]))?")
_STORE = re.compile(r"(i32|i64|f32|f64)\.store(8|16|32)?")
_ATOMIC = re.compile(r"(i32|i64)\.atomic\.(load|store|rmw)(8|16|32)?(?:\.(\w+?))?(?:_u)?")


def place(to: Translation, memarg: MemArg, width: int) -> str:
    """Statements that pop an address and make of it ``at``, where so many bytes are in bounds."""
    if memarg.memory:
        raise Unsupported("a second memory")
    at = f"u64 at = (u64){to.pop()} + {memarg.offset}ul;"
    return f"{at} if (at + {width} > size) {to.trap(OUTSIDE)}"


def translate(to: Translation, instruction: Instr) -> bool:
    """Whether it is such an instruction; if so, its statements are there."""
    name = instruction.form.mnemonic
    if found := _LOAD.fullmatch(name):
        _load(to, instruction, *found.groups())
    elif found := _STORE.fullmatch(name):
        _store(to, instruction, *found.groups())
    elif found := _ATOMIC.fullmatch(name):
        _atomic(to, instruction, *found.groups())
    elif name == "atomic.fence":
        to.emit("FENCE;")
    elif name == "memory.atomic.notify":  # nobody can wait: kernels that do are refused
        to.pop()
        access = place(to, instruction.args[0], 4)
        to.emit(f"{{ {access} if (at & 3) {to.trap('unaligned atomic')} {to.push('i32')} = 0; }}")
    elif name == "memory.size":
        to.emit(f"{to.push('i32')} = (u32)(size >> 16);")
    elif name in ("memory.copy", "memory.fill", "memory.init"):
        _bulk(to, name, instruction.args)
    elif name == "data.drop":
        to.emit(f"s->dropped{instruction.args[0]} = 1;")
    else:
        return False
    return True


def _load(to: Translation, instruction: Instr, t: str, bits: str | None, sign: str | None) -> None:
    n = int(bits or t[1:])
    access = place(to, instruction.args[0], n // 8)
    value = f"LOAD{n}(m, at)"
    if t[0] == "f":
        value = f"FLOAT{n}({value})"
    elif sign == "s":
        value = f"({C_TYPES[t]})(s{t[1:]})(s{n}){value}"
    to.emit(f"{{ {access} {to.push(t)} = {value}; }}")


def _store(to: Translation, instruction: Instr, t: str, bits: str | None) -> None:
    n = int(bits or t[1:])
    value = to.pop()
    value = f"BITS{n}({value})" if t[0] == "f" else value
    to.emit(f"{{ {place(to, instruction.args[0], n // 8)} STORE{n}(m, at, {value}); }}")


def _atomic(to: Translation, instruction: Instr, t: str, what: str, bits: str | None, action: str | None) -> None:
    """All atomic accesses are functions of the program's beginning, ``atomic_ADD32`` and so on."""
    n = int(bits or t[1:])
    count = {"load": 0, "store": 1}.get(what, 2 if action == "cmpxchg" else 1)
    values = to.pop_many(count)
    access = place(to, instruction.args[0], n // 8)
    check = f"if (at & {n // 8 - 1}) {to.trap('unaligned atomic')}" if n > 8 else ""
    given = "".join(f", (u{n}){value}" for value in values)
    call = f"atomic_{(action or what).upper()}{n}(m + at{given})"
    if what == "store":
        to.emit(f"{{ {access} {check} {call}; }}")
    else:
        to.emit(f"{{ {access} {check} {to.push(t)} = {call}; }}")


def _bulk(to: Translation, name: str, args: tuple[int, ...]) -> None:
    first, second, count = to.pop_many(3)
    memories = args if name == "memory.copy" else args[-1:]
    if any(memories):
        raise Unsupported("a second memory")
    inside = f"(u64){first} + {count} > size"
    if name == "memory.fill":
        to.emit(f"if ({inside}) {to.trap(OUTSIDE)}")
        to.emit(f"for (u64 k = 0; k < {count}; k++) m[{first} + k] = (u8){second};")
    elif name == "memory.copy":
        to.emit(f"if ({inside} || (u64){second} + {count} > size) {to.trap(OUTSIDE)}")
        to.emit(
            f"if ({first} <= {second}) for (u64 k = 0; k < {count}; k++) m[{first} + k] = m[{second} + k]; "
            f"else for (u64 k = {count}; k-- > 0;) m[{first} + k] = m[{second} + k];"
        )
    else:
        data = args[0]
        length = f"(s->dropped{data} ? 0ul : {len(to.module.datas[data].init)}ul)"
        to.emit(f"if ({inside} || (u64){second} + {count} > {length}) {to.trap(OUTSIDE)}")
        to.emit(f"for (u64 k = 0; k < {count}; k++) m[{first} + k] = data{data}[{second} + k];")
