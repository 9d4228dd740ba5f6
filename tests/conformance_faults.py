"""Does the suite notice? Deliberate faults in refwasm's wasi-parallel, one small change each: ``python -m
tests.conformance_faults [PATTERN…]`` runs the suite against each and prints which case catches it.

Every fault must be caught by a case that names its rule. Exit codes: 0 all are, 1 some is not, 2 a fault does not apply
to the code any more.
"""

from __future__ import annotations

import compileall
import fnmatch
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from conformance.engines import Engine, load_engine
from conformance.running import FAIL, run_case
from conformance.suite import Case, build, load

ROOT = Path(__file__).parent.parent
PARALLEL = "refwasm/host/parallel/"
#: A case may take so long; some faults make it hang.
TIMEOUT = 8.0


class Fault(NamedTuple):
    """A change of one place: the rule that it breaks, what goes wrong, the file below refwasm/host/parallel, the text
    there and what replaces it."""

    rule: str
    what: str
    file: str
    old: str
    new: str


FAULTS = (
    # ---- devices
    Fault("PAR-DEV-01", "each get_device gives a new handle", "context.py",
          "handle = FIRST_DEVICE + kind", "handle = FIRST_DEVICE + kind + 4 * len(self.devices)"),
    Fault("PAR-DEV-01", "get_device fails for integrated GPUs", "abi.py",
          "self.guest.write_u32(device_out, self.context.get_device(kind))",
          "self.guest.write_u32(device_out, self.context.get_device(kind))\n"
          "        if kind == 3:\n            return Errno.UNSUPPORTED"),
    Fault("PAR-DEV-02", "a GPU hint gives a device that runs nothing", "context.py",
          "self.devices[handle] = self._make(kind)",
          "self.devices[handle] = self._make(kind)\n"
          "            if hint > 1:\n                self.devices[handle].run = lambda execution, record: None"),
    Fault("PAR-DEV-03", "device and buffer handles overlap", "context.py",
          "FIRST_DEVICE, FIRST_BUFFER = 1, 1001", "FIRST_DEVICE, FIRST_BUFFER = 1, 1"),
    Fault("PAR-DEV-03", "buffer handles repeat after five", "context.py",
          "handle = FIRST_BUFFER + len(self.buffers)", "handle = FIRST_BUFFER + len(self.buffers) % 5"),
    Fault("PAR-DEV-04", "create_buffer takes any device", "context.py",
          "        self.device(device)\n        total", "        total"),
    Fault("PAR-DEV-04", "an unknown device is the CPU", "context.py",
          'if handle not in self.devices:\n            raise',
          'if handle not in self.devices:\n            return make_device(DeviceKind.CPU, self.limits)\n            raise'),
    # ---- arguments
    Fault("PAR-ARG-01", "pointers may be misaligned", "../guest.py", "if pointer % align:", "if False:"),
    Fault("PAR-ARG-01", "an access kind out of range is read_write", "abi.py",
          'access = _enum(AccessKind, kind, "access kind")', "access = AccessKind(min(kind, 2))"),
    Fault("PAR-ARG-01", "a hint out of range is the CPU", "abi.py",
          'kind = _enum(DeviceKind, hint, "device kind")', "kind = DeviceKind(hint if hint < 4 else 1)"),
    Fault("PAR-ARG-01", "an out-of-bounds write_buffer is an errno", "abi.py",
          'self._check("data", data, size)\n        memory = self.guest.memory\n        return self._attempt("write',
          'if data + size > len(self.guest.memory.u8):\n            return Errno.SIZE_MISMATCH\n'
          '        memory = self.guest.memory\n        return self._attempt("write'),
    Fault("PAR-ARG-01", "the length of lists wraps", "abi.py",
          'self._check("in", inputs, 4 * input_count, 4)',
          'input_count &= 0x3FFFFFFF\n        self._check("in", inputs, 4 * input_count, 4)'),
    Fault("PAR-ARG-01", "pointers are not checked for zero iterations", "abi.py",
          'code = self._bytes("kernel", kernel, kernel_size)\n        handles = self._handles(inputs, input_count, outputs, '
          'output_count)\n        memory = self.guest.memory\n        return self._attempt(\n            "parallel_exec"',
          'if not iterations:\n            return 0\n        code = self._bytes("kernel", kernel, kernel_size)\n'
          '        handles = self._handles(inputs, input_count, outputs, output_count)\n'
          '        memory = self.guest.memory\n        return self._attempt(\n            "parallel_exec"'),
    Fault("PAR-ARG-02", "misuse ends the host", "abi.py",
          "            return error.errno\n", "            raise Trap(str(error)) from None\n"),
    Fault("PAR-ARG-02", "misuse is reported as success", "abi.py",
          "            return error.errno\n", "            return Errno.SUCCESS\n"),
    Fault("PAR-ARG-03", "kernels are remembered by their address", "context.py",
          "kernel = self.kernels.get((data, function))", "data = data[:8]\n        kernel = self.kernels.get((data, function))"),
    Fault("PAR-ARG-04", "a huge buffer ends the host", "context.py",
          "total > self.limits.buffer_bytes:", "total > self.limits.buffer_bytes:\n            raise MemoryError"),
    Fault("PAR-ARG-05", "create_buffer stores its result before it fails", "abi.py",
          "        def create() -> None:\n", "        self.guest.write_u32(buffer_out, 0)\n\n        def create() -> None:\n"),
    Fault("PAR-ARG-05", "a write of the wrong size changes what fits", "context.py",
          "        buffer = self.buffer(handle)\n        self._check_size(buffer, size)\n        if self.policies",
          "        buffer = self.buffer(handle)\n        buffer.region = pointer\n        self._check_size(buffer, size)\n"
          "        if self.policies"),
    # ---- buffers
    Fault("PAR-BUF-01", "a smaller read is allowed", "context.py", "if size != buffer.size:", "if size > buffer.size:"),
    Fault("PAR-BUF-01", "a larger write is allowed", "context.py", "if size != buffer.size:", "if size < buffer.size:"),
    Fault("PAR-BUF-02", "a new buffer is not zeroed", "buffers.py",
          "self.content = bytes(size)", 'self.content = b"\\xaa" * size'),
    Fault("PAR-BUF-02", "an unwritten buffer does not reach the kernel", "execution.py",
          "own.write(places[buffer.handle], self.context.contents(self.memory, buffer))",
          'own.write(places[buffer.handle], self.context.contents(self.memory, buffer) if buffer.region else b"\\1" * buffer.size)'),
    Fault("PAR-BUF-03", "outputs before inputs", "abi.py",
          "return self.guest.read_u32s(inputs, input_count) + self.guest.read_u32s(outputs, output_count)",
          "return self.guest.read_u32s(outputs, output_count) + self.guest.read_u32s(inputs, input_count)"),
    Fault("PAR-BUF-03", "only outputs are copied back", "execution.py",
          "            for buffer in self._distinct():\n                self.context.set_contents",
          "            for buffer in self._distinct()[1:]:\n                self.context.set_contents"),
    Fault("PAR-BUF-03", "write buffers are not copied in", "execution.py",
          "        for buffer in self._distinct():\n            own.write",
          "        for buffer in self._distinct():\n            if buffer.kind == 1:\n                continue\n            own.write"),
    Fault("PAR-BUF-03", "read buffers can't be written", "context.py",
          'buffer.content = content\n', "if buffer.kind != 0:\n            buffer.content = content\n"),
    Fault("PAR-BUF-03", "lengths count words", "execution.py",
          "(places[b.handle], b.size)) if", "(places[b.handle], b.size // 4)) if"),
    Fault("PAR-BUF-03", "a buffer passed twice has two places", "execution.py",
          "for b in self.buffers for word in (places[b.handle], b.size))",
          "for i, b in enumerate(self.buffers) for word in (places[b.handle] + 64 * i, b.size))"),
    Fault("PAR-BUF-04", "buffers are forgotten after an execution", "execution.py",
          "            self.done.end = time.perf_counter()",
          "            self.done.end = time.perf_counter()\n            self.context.buffers.clear()"),
    Fault("PAR-BUF-05", "an unknown buffer is passed over", "context.py",
          "buffers = [self.buffer(handle) for handle in handles]",
          "buffers = [self.buffers[handle] for handle in handles if handle in self.buffers]"),
    Fault("PAR-BUF-05", "buffers of other devices are taken", "context.py", "if buffer.device != device:", "if False:"),
    Fault("PAR-BUF-05", "read_buffer of nothing succeeds", "context.py",
          "        buffer = self.buffer(handle)\n        self._check_size(buffer, size)\n        memory.write",
          "        if handle not in self.buffers:\n            return\n        buffer = self.buffer(handle)\n"
          "        self._check_size(buffer, size)\n        memory.write"),
    Fault("PAR-BUF-06", "empty buffers are refused", "context.py",
          "total = self.buffer_bytes + size",
          'total = self.buffer_bytes + size\n        if not size:\n            raise ParallelError(Errno.UNSUPPORTED, "", "")'),
    Fault("PAR-BUF-06", "sizes are cut to whole pages", "context.py",
          "memory.write(pointer, self.contents(memory, buffer))",
          "memory.write(pointer, self.contents(memory, buffer)[: 65536])"),
    Fault("PAR-BUF-07", "read_buffer stores one byte too many", "context.py",
          "memory.write(pointer, self.contents(memory, buffer))", 'memory.write(pointer, self.contents(memory, buffer) + b"\\0")'),
    Fault("PAR-BUF-07", "the last byte is not read back", "context.py",
          "memory.write(pointer, self.contents(memory, buffer))", "memory.write(pointer, self.contents(memory, buffer)[:-1])"),
    Fault("PAR-BUF-07", "overlapping moves go byte by byte", "context.py",
          "memory.write(pointer, self.contents(memory, buffer))",
          "for i in range(size):\n            memory.write(pointer + i, self.contents(memory, buffer)[i : i + 1])"),
    Fault("PAR-BUF-07", "the first write counts", "context.py",
          "buffer.region = pointer", "buffer.region = pointer if buffer.region is None else buffer.region"),
    # ---- memory
    Fault("PAR-MEM-01", "copy returns to the region", "context.py",
          'buffer.region is not None and self.policies.memory != "copy"', "buffer.region is not None"),
    Fault("PAR-MEM-01", "alias copies", "context.py",
          'self.policies.memory in ("alias", "auto")', 'self.policies.memory in ("auto",)'),
    Fault("PAR-MEM-02", "copy-back is forgotten", "context.py",
          'buffer.region is not None and self.policies.memory != "copy"', "False"),
    Fault("PAR-MEM-02", "a kernel that does not fit is refused", "execution.py",
          'if not fits and self.context.policies.memory == "alias":', "if not fits:"),
    Fault("PAR-MEM-03", "an unwritten buffer lies at address 0", "execution.py",
          "return fits and all(buffer.region is not None for buffer in self.buffers)", "return fits"),
    Fault("PAR-MEM-04", "buffers lie where the kernel's own data are", "execution.py",
          "end = self.kernel.memory_type.limits.minimum << self.kernel.memory_type.page_bits", "end = 0"),
    Fault("PAR-MEM-04", "a device's memory starts as a copy of the caller's", "execution.py",
          "take(self.kernel, pages)\n        for",
          "take(self.kernel, pages)\n        own.write(0, self.memory.read(0, PAGE))\n        for"),
    Fault("PAR-MEM-04", "a device's memory is used again as it was left", "staging.py",
          "        memory.clear()\n", ""),
    Fault("PAR-MEM-04", "buffers that find no room are passed over", "execution.py",
          "if pages > maximum:", "if pages > maximum:\n            return\n        if False:"),
    Fault("PAR-MEM-05", "workers do not see that memory grew", "../../execution/memory.py",
          "if self.header[0] == self.pages:", "if self.pages:"),
    Fault("PAR-MEM-06", "each buffer has a place of its own under alias", "execution.py",
          "{b.handle: b.region or 0 for b in self.buffers})\n            elif",
          "{b.handle: (b.region or 0) + 8 * i for i, b in enumerate(self.buffers)})\n            elif"),
    Fault("PAR-MEM-07", "buffers lie one after the other without alignment", "execution.py",
          "ALIGNMENT = 64", "ALIGNMENT = 1"),
    # ---- kernels
    Fault("PAR-KERN-01", "kernels are not validated", "kernels.py",
          "except (Malformed, Invalid, ResourceLimit) as error:", "except ResourceLimit as error:"),
    Fault("PAR-KERN-01", "the first export is the kernel", "kernels.py",
          'exported = dict(e.module_exports(self.validated)).get("kernel")',
          'exported = next((t for _, t in e.module_exports(self.validated)), None)'),
    Fault("PAR-KERN-02", "a private memory will do", "kernels.py", "if not t.shared or", "if"),
    Fault("PAR-KERN-02", "more may be imported", "kernels.py",
          "if len(imports) != 1 or not", "if not imports or not"),
    Fault("PAR-KERN-02", "only the import env.memory is taken", "kernels.py",
          "if len(imports) != 1 or not", 'if len(imports) != 1 or imports[0][1] != "memory" or not'),
    Fault("PAR-KERN-02", "a result is allowed", "kernels.py", "if t.results or odd", "if odd"),
    Fault("PAR-KERN-02", "the number of buffers is not compared", "context.py", "if kernel.buffers != buffers:", "if False:"),
    Fault("PAR-KERN-03", "zero iterations do not look at the kernel", "context.py",
          "        kernel = self.kernel(code, len(buffers))\n        Executor",
          "        if not iterations:\n            return\n        kernel = self.kernel(code, len(buffers))\n        Executor"),
    Fault("PAR-KERN-04", "kernels may have one function only", "kernels.py",
          "        return pairs\n",
          '        if len(self.validated.module.funcs) > 1:\n            raise _invalid("", "")\n        return pairs\n'),
    Fault("PAR-INST-01", "globals are not reset", "kernels.py",
          "*((cell, \"value\", cell.value) for cell in i.globals if cell.type.mutable),", ""),
    Fault("PAR-INST-01", "tables are not reset", "kernels.py",
          '*((table, "elements", list(table.elements)) for table in i.tables),', ""),
    Fault("PAR-INST-01", "dropped segments stay dropped", "kernels.py",
          '*((data, "content", data.content) for data in i.datas),', ""),
    Fault("PAR-INST-01", "instance=single is fresh", "kernels.py",
          'return self.policies.instance == "fresh"', "return True"),
    Fault("PAR-INST-02", "segments are applied again for each iteration", "kernels.py",
          "        if self.kernel.changes_objects:\n            self._renew()",
          "        if self.kernel.acts_on_instantiation:\n            self._instantiate()\n            return\n"
          "        if self.kernel.changes_objects:\n            self._renew()"),
    Fault("PAR-INST-02", "an instance of the last execution is used again", "pool.py",
          "if execution.kernel.acts_on_instantiation:", "if False:"),
    # ---- execution
    Fault("PAR-EXEC-01", "the last iteration is lost", "schedule.py",
          "self.units = -(-count // self.unit)", "self.units = -(-count // self.unit) - (count > 2)"),
    Fault("PAR-EXEC-01", "ids start at 1", "kernels.py",
          "invoke(self.function, (iteration,", "invoke(self.function, (iteration + 1,"),
    Fault("PAR-EXEC-01", "one iteration is lost where shares meet", "worker.py",
          "self.work[NEXT] = stop", "self.work[NEXT] = stop + (start == 8)"),
    Fault("PAR-EXEC-01", "the first of a share runs twice", "worker.py",
          "self.work[NEXT] = stop", "self.work[NEXT] = stop - (start == 4)"),
    Fault("PAR-EXEC-03", "block size 0 runs nothing", "schedule.py",
          "self.count = count", "self.count = count = count if block_size else 0"),
    Fault("PAR-EXEC-03", "the block size is passed on as used", "kernels.py",
          "parameters.iterations, parameters.block_size, *parameters.pairs", "parameters.iterations, max(parameters.block_size, 1), *parameters.pairs"),
    Fault("PAR-EXEC-03", "the last block is cut off", "schedule.py",
          "self.units = -(-count // self.unit)", "self.units = count // self.unit"),
    Fault("PAR-EXEC-05", "order=descending is ignored", "schedule.py",
          "return range(count - 1, -1, -1)", "return range(count)"),
    Fault("PAR-EXEC-05", "shuffles leave things as they are", "schedule.py", "    generator.shuffle(shuffled)\n", ""),
    Fault("PAR-EXEC-02", "zero iterations run one", "kernels.py",
          "        return Schedule(self.iterations, ", "        return Schedule(max(self.iterations, 1), "),
    Fault("PAR-EXEC-06", "the first worker that is done ends the wait", "pool.py",
          "while len(answers) < workers:", "while len(answers) < 1:"),
    Fault("PAR-EXEC-07", "a trap is passed over", "worker.py",
          'answer = ("failed", self.iteration, portable(error), self._violations())\n        except MemoryError',
          'answer = ("done", [], [])\n        except MemoryError'),
    Fault("PAR-EXEC-07", "a trap ends the program", "devices/device.py",
          "    if isinstance(error, Crash):", "    if isinstance(error, (Crash, Trap)):\n        import os\n"
          "        os._exit(99)\n    if isinstance(error, Crash):"),
    Fault("PAR-EXEC-07", "stores before a trap are lost", "execution.py",
          "        try:\n            self._execute(own, places)\n        finally:\n",
          "        self._execute(own, places)\n        if True:\n"),
    Fault("PAR-EXEC-07", "after a trap the workers stay stopped", "pool.py",
          "self.work[NEXT] = self.work[ABORT] = 0", "self.work[NEXT] = 0"),
    Fault("PAR-EXEC-08", "WASI can be imported", "kernels.py",
          "imports = e.module_imports(self.validated)",
          'imports = [i for i in e.module_imports(self.validated) if not i[0].startswith("wasi")]'),
    Fault("PAR-EXEC-09", "the number of iterations is signed", "abi.py",
          "lambda: self.context.parallel_exec(memory, device, code, iterations, block_size, handles),",
          "lambda: self.context.parallel_exec(\n                memory, device, code, iterations if iterations < 1 << 31 else 0, "
          "block_size, handles\n            ),"),
    Fault("PAR-EXEC-10", "a program with idle workers does not end", "pool.py",
          "        self.closed = True\n        for pipe in self.pipes:\n            pipe.close()\n",
          "        self.closed = True\n        self._answers(len(self.pipes))\n"),
    # ---- sharing
    Fault("PAR-SHARE-01", "atomics are not atomic", "../../execution/interpreter/atomic.py",
          "            old = s[-1] = memory.load(width, address)\n            memory.store(width, address, modify(old, operand) & mask)",
          "            old = s[-1] = memory.load(width, address)\n            release()\n            __import__('time').sleep(1e-5)\n"
          "            acquire()\n            memory.store(width, address, modify(old, operand) & mask)"),
    Fault("PAR-SHARE-01", "cmpxchg always stores", "../../execution/interpreter/atomic.py",
          "if old == expected & mask:", "if True:"),
    Fault("PAR-SHARE-02", "notify wakes nobody", "../../execution/domain.py",
          "for row in rows[:count]:", "for row in rows[:0]:"),
    Fault("PAR-SHARE-02", "a time-out is taken for a notification", "../../execution/interpreter/atomic.py",
          "TIMED_OUT", "OK"),
    Fault("PAR-SHARE-03", "results of the last execution are read", "context.py",
          "        memory.write(pointer, self.contents(memory, buffer))",
          "        old, buffer.content = buffer.content, self.contents(memory, buffer)\n        memory.write(pointer, old)"),
    # ---- older forms
    Fault("PAR-FORM-01", "parallel_for is always the newer one", "forms.py",
          "return Form.FOR_FUNCTION if len(function.params) == 7 else Form.FOR_MODULE", "return Form.FOR_MODULE"),
    Fault("PAR-FORM-02", "older programs use the new numbers", "abi.py", "if self.context.form is Form.EXEC:", "if True:"),
    Fault("PAR-FORM-03", "forms without a device need a buffer", "context.py",
          "        return self._make(self._kind(DeviceKind.CPU)), []", "        return self.device(0), []"),
    Fault("PAR-FORM-04", "the form of 2022 passes buffers", "context.py",
          "self.kernel(code, 0), buffers, passed=False)", "self.kernel(code, len(buffers)), buffers)"),
    Fault("PAR-FORM-05", "kernels in a table start with segments applied", "forms.py",
          'Data(b"", "passive") if data.mode == "active" else data', "data"),
    Fault("PAR-FORM-05", "kernels in a table run the start function", "forms.py", "        start=None,\n", ""),
    Fault("PAR-FORM-05", "positions of the table count from 1", "forms.py",
          "func = table.elements[position] if", "func = table.elements[position - 1] if"),
    Fault("PAR-FORM-06", "results in a private memory are lost", "execution.py",
          "            self.memory.write(0, own.read(0, self.memory.size() * self.memory.page))\n", ""),
    Fault("PAR-FORM-06", "an unwritten buffer lies at address 0", "context.py",
          "            if buffer.region is None:", "            if False:"),
)  # fmt: skip


class Verdict(NamedTuple):
    """Which case caught a fault; ``named`` is whether it names the fault's rule."""

    fault: Fault
    case: str
    named: bool


def apply(fault: Fault, tree: Path) -> None:
    """Make the change in a copy of the package; ValueError if the text is not there exactly once or more."""
    path = (tree / PARALLEL / fault.file).resolve()
    text = path.read_text(encoding="utf-8")
    if fault.old not in text:
        raise ValueError(f"{fault.rule}, {fault.what}: {fault.file} has no {fault.old!r}")
    path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")


def engine_of(tree: Path) -> Engine:
    """refwasm from a copy of the package."""
    engine = load_engine("refwasm")
    start = "import sys; sys.path.insert(0, sys.argv.pop(1)); from refwasm.cli import main; sys.exit(main())"
    engine.adapter.REFWASM = [sys.executable, "-P", "-c", start, str(tree)]  # type: ignore[attr-defined]
    return engine


def catch(fault: Fault, base: Path, cases: Sequence[Case], modules: dict[str, Path]) -> Verdict:
    """The first case that fails: those that name the rule are tried first."""
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        tree = Path(folder)
        shutil.copytree(base, tree, dirs_exist_ok=True)
        apply(fault, tree)
        engine = engine_of(tree)
        for case in sorted(cases, key=lambda case: fault.rule not in case.rules):
            if run_case(case, modules[case.name], engine, TIMEOUT).status == FAIL:
                return Verdict(fault, case.name, fault.rule in case.rules)
    return Verdict(fault, "", False)


def main(patterns: Sequence[str]) -> int:
    """Try all faults, or those whose rule or description matches; ``1/4`` is every fourth one, from the first on."""
    part = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", patterns[0]) if len(patterns) == 1 else None
    if part is not None:
        wanted = list(FAULTS)[int(part[1]) - 1 :: int(part[2])]
    else:
        wanted = [f for f in FAULTS if not patterns or any(fnmatch.fnmatch(w, p) for p in patterns for w in f[:2])]
    cases = [case for case in load() if not case.name.endswith("nearly-four-billion")]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        base = Path(folder) / "base"
        shutil.copytree(ROOT / "refwasm", base / "refwasm", ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(base, quiet=1)
        modules = {case.name: build(case, Path(folder) / "cases") for case in cases}
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                verdicts = list(pool.map(lambda fault: _tell(catch(fault, base, cases, modules)), wanted))
        except ValueError as error:
            print(f"a fault does not apply: {error}", file=sys.stderr)
            return 2
    missed = [verdict for verdict in verdicts if not verdict.named]
    print(f"\n{len(verdicts)} faults, {len(verdicts) - len(missed)} caught by a case that names the rule")
    return int(bool(missed) or not verdicts)


def _tell(verdict: Verdict) -> Verdict:
    how = verdict.case if verdict.named else f"NOT CAUGHT by its rule ({verdict.case or 'nor by any other case'})"
    print(f"{verdict.fault.rule}  {verdict.fault.what:<60} {how}", flush=True)
    return verdict


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
