"""How cases are written: a case is a command module that calls the interface step by step and checks what comes back.

A :class:`Case` collects steps as text; :meth:`Case.wat` is the module. It succeeds by printing ``ok`` and ending with
exit code 0; a check that fails prints the step, what it got and what it wanted (hexadecimal), and ends with exit code
99. Nothing but ``wasi_ephemeral_parallel`` and two functions of WASI is imported.

Memory of a case: results at 0, handle lists at 64, text at 512, kernels from 4096 on, regions of buffers from 65536 on.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SEQUENTIAL, CPU, DISCRETE_GPU, INTEGRATED_GPU = range(4)
READ, WRITE, READ_WRITE = range(3)
RESULT, LISTS, KERNELS, REGIONS = 0, 64, 4096, 65536
PAGE = 65536
#: Exit code of a trap as most engines have it (128 + SIGABRT); the runner accepts any that is not 0 or 99.
TRAP = 134

SIGNATURES = {
    "get_device": 2, "create_buffer": 4, "write_buffer": 3, "read_buffer": 3, "parallel_exec": 9,
}  # fmt: skip

WASI = {"fd_write": "(param i32 i32 i32 i32) (result i32)", "proc_exit": "(param i32)"}

PRELUDE = """\
  (func $check (param $step i32) (param $got i32) (param $want i32)
    (if (i32.ne (local.get $got) (local.get $want)) (then
      (call $hex (i32.const 517) (local.get $step))
      (call $hex (i32.const 531) (local.get $got))
      (call $hex (i32.const 546) (local.get $want))
      (call $print (i32.const 512) (i32.const 43))
      (call $proc_exit (i32.const 99)))))
  (func $print (param $text i32) (param $size i32)
    (i32.store (i32.const 560) (local.get $text))
    (i32.store (i32.const 564) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 560) (i32.const 1) (i32.const 568))))
  (func $hex (param $at i32) (param $value i32) (local $digit i32)
    (local.set $digit (i32.const 8))
    (loop $next
      (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $digit))
        (i32.load8_u (i32.add (i32.const 576) (i32.and (local.get $value) (i32.const 15)))))
      (local.set $value (i32.shr_u (local.get $value) (i32.const 4)))
      (br_if $next (local.get $digit))))
  (data (i32.const 512) "step ........: got ........, want ........\\0a")
  (data (i32.const 576) "0123456789abcdefok\\0a")
"""
#: Compares a region with another, byte by byte; only cases that need it carry it.
SAME = """\
  (func $same (param $step i32) (param $a i32) (param $b i32) (param $size i32)
    (loop $next
      (if (local.get $size) (then
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (call $check (local.get $step)
          (i32.load8_u (i32.add (local.get $a) (local.get $size)))
          (i32.load8_u (i32.add (local.get $b) (local.get $size))))
        (br $next)))))
"""
#: Fills a region with a pattern in which neighbours, pages and seeds differ.
FILL = """\
  (func $fill (param $at i32) (param $size i32) (param $seed i32)
    (loop $next
      (if (local.get $size) (then
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (i32.store8 (i32.add (local.get $at) (local.get $size))
          (i32.add (i32.mul (local.get $size) (i32.const 7)) (i32.add (local.get $seed)
            (i32.shr_u (local.get $size) (i32.const 8)))))
        (br $next)))))
"""
#: Checks that every word of a region is the same.
ALL = """\
  (func $all (param $step i32) (param $at i32) (param $count i32) (param $want i32)
    (loop $next
      (if (local.get $count) (then
        (call $check (local.get $step) (i32.load (local.get $at)) (local.get $want))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))))
"""


def const(value: int) -> str:
    """An ``i32.const``, in hexadecimal where that reads better."""
    return f"(i32.const {value if value < 1 << 20 else hex(value)})"


def word(address: int) -> str:
    """The 32-bit word at an address."""
    return f"(i32.load {const(address)})"


def kernel(body: str = "", buffers: int = 1, *, memory: str = "1 64 shared", extra: str = "", result: str = "") -> str:
    """A kernel's text. Parameters are ``$id $n $block``, then ``$p0 $s0 $p1 …``."""
    params = "".join(f" (param $p{i} i32) (param $s{i} i32)" for i in range(buffers))
    parts = [
        f'(import "env" "memory" (memory {memory}))',
        *([extra] if extra else []),
        f'(func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32){params}{result}',
    ]
    return "(module\n  " + "\n  ".join(parts) + (f"\n    {body}" if body else "") + "))"


@dataclass(frozen=True)
class Code:
    """Bytes of a kernel in the case's memory."""

    address: int
    size: int

    def place(self) -> str:
        """Pointer and size."""
        return f"{const(self.address)} {const(self.size)}"


@dataclass(frozen=True)
class Buffer:
    """A buffer of a case: its handle is in a global, its region in the case's memory."""

    name: str
    size: int
    region: int

    @property
    def handle(self) -> str:
        return f"(global.get ${self.name})"


@dataclass
class Case:
    """One case, named ``chapter/what``.

    ``needs`` are policies that it depends on (``memory=copy``, ``workers=2``), none for a portable one; ``outcome`` is
    ``ok``, ``trap``, or ``ok or trap`` where an engine may trap the caller.
    """

    name: str
    about: str
    rules: Sequence[str]
    needs: str = ""
    outcome: str = "ok"
    memory: str = "4 64 shared"
    args: tuple[str, ...] = ()
    imports: dict[str, int] = field(default_factory=lambda: dict(SIGNATURES))
    wasi: dict[str, str] = field(default_factory=dict)
    extra: str = ""
    exit_code: int | None = None
    steps: list[str] = field(default_factory=list)
    globals: list[str] = field(default_factory=list)
    datas: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    next_kernel: int = KERNELS
    next_region: int = REGIONS
    number: int = 0

    # ---- steps -------------------------------------------------------------------------------------------------------

    def step(self, text: str) -> None:
        """Any instructions."""
        self.steps.append(text)

    def call(self, function: str, *args: int | str) -> str:
        """A call of the interface, as an expression."""
        assert len(args) == self.imports[function], (function, args)
        return f"(call ${function} {' '.join(const(a) if isinstance(a, int) else a for a in args)})"

    def expect(self, got: str, want: int | str) -> None:
        """Check a value."""
        self.number += 1
        self.step(f"(call $check {const(self.number)} {got} {const(want) if isinstance(want, int) else want})")

    def succeed(self, function: str, *args: int | str) -> None:
        """A call that must return 0."""
        self.expect(self.call(function, *args), 0)

    def fail(self, function: str, *args: int | str) -> None:
        """A call that must return an error number; which one is not looked at (PAR-ARG-02)."""
        self.expect(f"(i32.eqz {self.call(function, *args)})", 0)

    def trap(self, function: str, *args: int | str) -> None:
        """A call that must trap: what follows is never reached."""
        self.outcome = "trap"
        self.step("(call $print (i32.const 592) (i32.const 3))")
        self.step(f"(drop {self.call(function, *args)})")
        self.step("(call $proc_exit (i32.const 99))")

    # ---- devices, buffers, kernels -----------------------------------------------------------------------------------

    def variable(self, name: str) -> str:
        """A global of the case's own; the expression that reads it."""
        self.globals.append(name)
        return f"(global.get ${name})"

    def device(self, hint: int = CPU) -> str:
        """Get a device; the expression of its handle."""
        name = f"device{sum(g.startswith('device') for g in self.globals)}"
        self.succeed("get_device", hint, RESULT)
        self.step(f"(global.set ${name} {word(RESULT)})")
        return self.variable(name)

    def region(self, size: int) -> int:
        """A place for so many bytes, with room around it."""
        address = self.next_region
        self.next_region += (size + 63) // 64 * 64 + 64
        return address

    def buffer(self, device: str, size: int, kind: int = READ_WRITE) -> Buffer:
        """Create a buffer."""
        name = f"buffer{sum(g.startswith('buffer') for g in self.globals)}"
        self.succeed("create_buffer", device, size, kind, RESULT)
        self.step(f"(global.set ${name} {word(RESULT)})")
        self.variable(name)
        return Buffer(name, size, self.region(size))

    def written(self, device: str, size: int, kind: int = READ_WRITE) -> Buffer:
        """Create a buffer and write its region, which holds zeros, to it."""
        made = self.buffer(device, size, kind)
        self.write(made)
        return made

    def write(self, buffer: Buffer, region: int | None = None) -> None:
        self.succeed("write_buffer", buffer.region if region is None else region, buffer.size, buffer.handle)

    def read(self, buffer: Buffer, region: int | None = None) -> None:
        self.succeed("read_buffer", buffer.handle, buffer.region if region is None else region, buffer.size)

    def code(self, source: str | bytes) -> Code:
        """A kernel in the case's memory, from text or bytes."""
        data = assemble(source) if isinstance(source, str) else source
        comment = textwrap.indent(source, "  ;; ") if isinstance(source, str) else "  ;; (not a module)"
        placed = Code(self.next_kernel, len(data))
        self.datas.append(f"{comment}\n  (data {const(placed.address)} {quoted(data)})")
        self.next_kernel += (len(data) + 63) // 64 * 64
        assert self.next_kernel <= REGIONS
        return placed

    def lists(self, ins: Sequence[Buffer | str], outs: Sequence[Buffer | str]) -> str:
        """Store handle lists; the four arguments that name them."""
        out_list = LISTS + 4 * len(ins)
        for index, item in enumerate((*ins, *outs)):
            handle = item.handle if isinstance(item, Buffer) else item
            self.step(f"(i32.store {const(LISTS + 4 * index)} {handle})")
        return f"{const(LISTS)} {const(len(ins))} {const(out_list)} {const(len(outs))}"

    def exec(
        self, device: str, code: Code, n: int | str, outs: Sequence[Buffer | str] = (),
        ins: Sequence[Buffer | str] = (), block: int = 1,
    ) -> str:  # fmt: skip
        """``parallel_exec`` as an expression; its lists are stored before."""
        lists = self.lists(ins, outs)
        count = const(n) if isinstance(n, int) else n
        return f"(call $parallel_exec {device} {code.place()} {count} {const(block)} {lists})"

    def run(
        self, device: str, code: Code, n: int | str, outs: Sequence[Buffer | str] = (),
        ins: Sequence[Buffer | str] = (), block: int = 1,
    ) -> None:  # fmt: skip
        """An execution that must succeed."""
        self.expect(self.exec(device, code, n, outs, ins, block), 0)

    def refuse(
        self, device: str, code: Code, n: int, outs: Sequence[Buffer | str] = (), ins: Sequence[Buffer | str] = ()
    ) -> None:
        """An execution that must return an error number."""
        self.expect(f"(i32.eqz {self.exec(device, code, n, outs, ins)})", 0)

    # ---- checks of memory --------------------------------------------------------------------------------------------

    def words(self, address: int, values: Iterable[int]) -> None:
        """Check 32-bit words."""
        for index, value in enumerate(values):
            self.expect(word(address + 4 * index), value)

    def all(self, address: int, count: int, value: int) -> None:
        """Check that so many words are the same."""
        self.helpers.add(ALL)
        self.number += 1
        self.step(f"(call $all {const(self.number)} {const(address)} {const(count)} {const(value)})")

    def fill(self, address: int, size: int, seed: int) -> None:
        """Fill a region with a pattern."""
        self.helpers.add(FILL)
        self.step(f"(call $fill {const(address)} {const(size)} {const(seed)})")

    def same(self, a: int, b: int, size: int) -> None:
        """Check that two regions hold the same bytes."""
        self.helpers.add(SAME)
        self.number += 1
        self.step(f"(call $same {const(self.number)} {const(a)} {const(b)} {const(size)})")

    def store(self, address: int, value: int) -> None:
        self.step(f"(i32.store {const(address)} {const(value)})")

    # ---- the files ---------------------------------------------------------------------------------------------------

    def wat(self) -> str:
        """The module, with what the runner needs to know in its first lines."""
        head = [f";; {line}" for line in textwrap.wrap(self.about, 110)]
        head.append(f";; rules: {' '.join(self.rules)}")
        head += [f";; needs: {self.needs}"] if self.needs else []
        head += [f";; outcome: {self.outcome}"] if self.outcome != "ok" else []
        imports = [
            f'  (import "wasi_ephemeral_parallel" "{name}" (func ${name} (param{" i32" * count}) (result i32)))'
            for name, count in self.imports.items()
        ]
        imports += [
            f'  (import "wasi_snapshot_preview1" "{name}" (func ${name} {t}))' for name, t in (WASI | self.wasi).items()
        ]
        end = "" if self.outcome == "trap" else "\n    (call $print (i32.const 592) (i32.const 3))"
        if self.exit_code is not None:
            end += f"\n    (call $proc_exit {const(self.exit_code)})"
        parts = [
            *head, "(module", *imports, f'  (memory (export "memory") {self.memory})',
            *(f"  (global ${name} (mut i32) (i32.const 0))" for name in self.globals),
            *self.datas, *([self.extra] if self.extra else []),
            PRELUDE + "".join(sorted(self.helpers)) + '  (func (export "_start")',
            *(f"    {step}" for step in self.steps),
        ]  # fmt: skip
        return "\n".join(parts) + end + "))\n"

    def sidecar(self) -> str:
        """What the public runner needs to know."""
        code = TRAP if self.outcome == "trap" else self.exit_code or 0
        expected = {"args": list(self.args)} if self.args else {}
        return json.dumps(expected | {"exit_code": code, "stdout": "ok\n"}, indent=2) + "\n"


def assemble(text: str) -> bytes:
    """Text format to binary format: the one step that takes refwasm (any assembler would do)."""
    from refwasm.binary import encode
    from refwasm.text import parse_module

    return encode(parse_module(text))


def quoted(data: bytes) -> str:
    """A string of the text format, in lines."""
    rows = [data[i : i + 40] for i in range(0, len(data), 40)] or [b""]
    return "\n    ".join('"' + "".join(f"\\{byte:02x}" for byte in row) + '"' for row in rows)
