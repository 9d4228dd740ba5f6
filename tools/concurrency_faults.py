"""Are the explorer, the race detector and the memory model tested? Deliberate faults in a copy of refwasm, which
:mod:`tools.concurrency_check` must notice: ``python -m tools.concurrency_faults [PATTERN…]``.

Exit codes: 0 all are noticed, 1 some is not, 2 a fault does not apply to the code any more.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
#: Seconds that the check may take: a fault may make it run for ever.
PATIENCE = 60


class Fault(NamedTuple):
    """A change of one place: what goes wrong, the file below refwasm, the text there and what replaces it."""

    what: str
    file: str
    old: str
    new: str


ACCESSES, DPOR, SCHEDULER = (f"concurrency/{name}.py" for name in ("accesses", "dpor", "scheduler"))
SPINNING, RACES, CELLS = (f"concurrency/{name}.py" for name in ("spinning", "races", "cells"))
SAMPLING, PROGRAMS = "concurrency/sampling.py", "concurrency/programs.py"
AXIOMS, EVENTS, UNFOLDING, OUTCOMES = (
    f"concurrency/model/{n}.py" for n in ("axioms", "events", "unfolding", "outcomes")
)
ATOMIC, TURNS = "execution/interpreter/atomic.py", "execution/interpreter/scheduler.py"

FAULTS = (
    # ---- what depends on what
    Fault("a store depends on no load", ACCESSES, "(a.kind in WRITES or b.kind in WRITES)",
          "(a.kind in WRITES and b.kind in WRITES)"),
    Fault("accesses that overlap in part are independent", ACCESSES, "if a.start < b.end and b.start < a.end and",
          "if a.start == b.start and"),
    Fault("operations on one wait queue are independent", ACCESSES, "a.kind in QUEUE and b.kind in QUEUE and",
          "False and"),
    Fault("a time-out does not depend on a notify", ACCESSES, 'QUEUE = frozenset({"wait", "notify", "timeout", "idle"})',
          'QUEUE = frozenset({"wait", "notify", "idle"})'),
    Fault("growing depends on nothing", ACCESSES, 'if (a.kind == "grow" and (b.kind in SIZE or b.outside))',
          'if False and (a.kind == "grow" and (b.kind in SIZE or b.outside))'),
    Fault("read-modify-writes do not write", ACCESSES, 'WRITES = frozenset({"store", "rmw", "cmpxchg",',
          'WRITES = frozenset({"store", "cmpxchg",'),
    Fault("a compare-exchange does not read", ACCESSES, 'READS = frozenset({"load", "rmw", "cmpxchg",',
          'READS = frozenset({"load", "rmw",'),
    Fault("an access has no width", ACCESSES, "end = address + (instr.form.width or 0)", "end = address + 1"),
    Fault("a wait reads nothing", ACCESSES, '"cmpxchg", "wait", "copy"})', '"cmpxchg", "copy"})'),
    Fault("a compare-exchange that exchanges has only read", ACCESSES, "if access.kind == \"cmpxchg\" and not changed:", "if access.kind == \"cmpxchg\":"),
    # ---- partial order reduction
    Fault("no race is reversed", DPOR, "self._reverse(at, node)\n", "pass\n"),
    Fault("only the nearest race is reversed", DPOR, "                self._reverse(at, node)\n                _join(clock, earlier.clock)",
          "                self._reverse(at, node)\n                _join(clock, earlier.clock)\n                break"),
    Fault("what happens before is forgotten", DPOR, "                self._reverse(at, node)\n                _join(clock, earlier.clock)",
          "                self._reverse(at, node)"),
    Fault("sleeping threads never wake", DPOR, "and not dependent(access, last.access)", ""),
    Fault("the first thread that can is tried, not one that must", DPOR,
          "first.backtrack.add(node.thread if node.thread in possible else possible[0])",
          "first.backtrack.add(next(iter(first.accesses)))"),
    Fault("who wakes is not ordered before who is woken", DPOR, "        _join(self.clocks[other], self._now(thread))", "        pass"),
    Fault("a step does not come after those before it in its thread", DPOR,
          "clock = dict(self.clocks[node.thread])\n        clock[node.thread] = node.place", "clock = {}\n        clock[node.thread] = node.place"),
    Fault("steps that depend on the first one are moved before it", DPOR,
          "            if later.clock.get(first.thread, 0) >= first.place:\n                continue  # it happens after the step at the node\n", ""),
    # ---- the scheduler
    Fault("time-outs never come", SCHEDULER, "        for agent in waiting:\n            for task in self.tasks:",
          "        for agent in ():\n            for task in self.tasks:"),
    Fault("the choices of a time-out are not recorded", SCHEDULER, "taken.append(Taken(WAIT, option, len(waiting) + others))", "pass"),
    Fault("recorded choices are of another thread", SCHEDULER, "taken.append(Taken(AGENT, ready.index(task), len(ready)))",
          "taken.append(Taken(AGENT, 0, len(ready)))"),
    Fault("notify wakes all", TURNS, "for agent in found[:count]:", "for agent in found:"),
    Fault("notify wakes nobody", TURNS, "            agent.woken = True\n            self.woke(agent)", "            self.woke(agent)"),
    Fault("notify wakes who waits elsewhere", TURNS, "            and agent.pending.address == address\n", ""),
    Fault("a woken thread is told of a time-out", TURNS, "agent.stack.append(0 if agent.woken else 2)", "agent.stack.append(2)"),
    Fault("threads that wait are woken by themselves", TURNS, "return agent.woken or (", "return True or agent.woken or ("),
    # ---- spinning
    Fault("all threads that come back spin", SPINNING, "if last is not None and not _any_overlap(reads[last[0] :], self._changes[last[1] :]):",
          "if last is not None:"),
    Fault("spinning is never noticed", SPINNING, "            self.spinning[thread] = reads[last[0] :]", "            pass"),
    Fault("spinning threads never go on", SPINNING, "            del self.spinning[thread]", "            pass"),
    Fault("locals do not tell states apart", SPINNING, "tuple(agent.locals), tuple(agent.stack),", "tuple(agent.stack),"),
    # ---- instructions
    Fault("a read-modify-write loses what it reads", ATOMIC, "memory.store(width, address, modify(old, operand) & mask)",
          "memory.store(width, address, modify(0, operand) & mask)"),
    Fault("a compare-exchange always exchanges", ATOMIC, "if old == expected & mask:", "if True:"),
    Fault("a compare-exchange compares more than its width", ATOMIC, "if old == expected & mask:", "if old == expected:"),
    Fault("a wait does not compare", ATOMIC, "    if memory.load(width, address) != expected:\n        s.append(1)\n        return following\n", ""),
    Fault("an atomic load is torn: it reads half of its bytes", ATOMIC, "s[-1] = memory.load(width, address)\n        finally:\n            release()\n        return following\n\n    return before_access(code.store, memory, instr, 0, op)",
          "s[-1] = memory.load(max(width // 2, 1), address)\n        finally:\n            release()\n        return following\n\n    return before_access(code.store, memory, instr, 0, op)"),
    Fault("others do not see that an atomic store is about to happen", ATOMIC, "    return before_access(code.store, memory, instr, 1, op)\n\n\ndef _atomic_rmw",
          "    return op\n\n\ndef _atomic_rmw"),
    Fault("others do not see a notify", ATOMIC, "    return before_access(code.store, memory, instr, 1, op)\n\n\n@meaning(\"memory.atomic.wait32\"",
          "    return op\n\n\n@meaning(\"memory.atomic.wait32\""),
    # ---- races
    Fault("a write does not race with an earlier read", RACES, "                self._against(cell.reads, mark, clock)", "                pass"),
    Fault("a read does not race with an earlier write", RACES, "            self._against(cell.writes, mark, clock)\n", "            if writes:\n                self._against(cell.writes, mark, clock)\n"),
    Fault("atomic accesses never race", RACES, "return a.atomic and b.atomic and a.start == b.start and a.end == b.end", "return a.atomic or b.atomic"),
    Fault("atomic accesses of other widths do not race", RACES, "return a.atomic and b.atomic and a.start == b.start and a.end == b.end",
          "return a.atomic and b.atomic"),
    Fault("atomic accesses race", RACES, "return a.atomic and b.atomic and a.start == b.start and a.end == b.end", "return False"),
    Fault("an atomic store orders nothing", RACES, "                cells.released[start, end] = self._release(thread)", "                pass"),
    Fault("an atomic load orders nothing", RACES, "            self._acquire(thread, clock, f\"an atomic read", "            (thread, clock, f\"an atomic read"),
    Fault("plain loads order too", RACES, "if access.atomic and reads:", "if reads:"),
    Fault("plain stores order too", RACES, "            if access.atomic:\n                cells.released", "            if True:\n                cells.released"),
    Fault("an overwritten store still orders", CELLS, "            del self.released[first, last]", "            pass"),
    Fault("a failed compare-exchange orders", RACES, "(access.kind != \"cmpxchg\" or exchanges(access, agent))", "True"),
    Fault("a notify orders nothing", RACES, "        self._acquire(other, self._release(thread), f\"{self.labels[thread]} notified", "        (other, self._release(thread), f\"{self.labels[thread]} notified"),
    Fault("growing orders nothing", RACES, "        self._in_turn((id(memory), \"size\", 0), thread, \"memory.size or memory.grow\")\n", ""),
    Fault("a release does not begin a new time", RACES, "        clock[thread] += 1\n", ""),
    Fault("accesses are forgotten when others are ordered behind them only", RACES, "if clock.get(other.thread, 0) >= other.time and (other.access.atomic or not mark.access.atomic):",
          "if other.access.atomic or not mark.access.atomic:"),
    Fault("an atomic access hides a plain one", RACES, "    marks[mark.thread, mark.access.atomic] = mark", "    marks[mark.thread, False] = mark"),
    Fault("memory.copy does not read", RACES, "        if access.kind == \"copy\" and access.source is not None:\n", "        if False:\n"),
    Fault("bytes behind the first are not looked at", RACES, "for cell in cells.within(start, end):", "for cell in cells.within(start, start + 1):"),
    # ---- the memory model
    *(Fault(f"a rule is left out: {rule}", AXIOMS, f"    {rule}: bool = True", f"    {rule}: bool = False")
      for rule in ("init_first", "not_from_later", "not_overwritten", "synchronise", "last_same", "last_reader", "last_writer",
                   "no_tearing", "queues")),
    Fault("accesses of any widths synchronise", EVENTS, "return a.order == b.order == SEQCST and same_range(a, b)",
          "return a.order == b.order == SEQCST and overlap(a, b)"),
    Fault("plain accesses synchronise", EVENTS, "return a.order == b.order == SEQCST and same_range(a, b)", "return same_range(a, b)"),
    Fault("plain accesses are never free of tearing", UNFOLDING, "return name[:1] == \"i\" and access.width <= 4 and access.start % access.width == 0", "return False"),
    Fault("plain accesses of 64 bits are free of tearing", UNFOLDING, "and access.width <= 4 and", "and"),
    Fault("accesses that are not aligned are free of tearing", UNFOLDING, "access.width <= 4 and access.start % access.width == 0", "access.width <= 4"),
    Fault("threads read initial values only", UNFOLDING, "                self._note(path.events)", "                pass"),
    Fault("a wait always ends", UNFOLDING, "endings = [WOKEN, TIMED_OUT] if finite else [WOKEN, NEVER]", "endings = [WOKEN, TIMED_OUT]"),
    Fault("a notify may wake fewer than it could", AXIOMS, "elif event.woken == min(event.most, len(queue)):", "elif event.woken <= min(event.most, len(queue)):"),
    Fault("an exchange does not write", UNFOLDING, "writes = access.writes and (", "writes = access.kind != \"rmw\" and access.writes and ("),
    Fault("the order within threads does not count", AXIOMS, "is_own = first.thread == second.thread and a < b", "is_own = False and a < b"),
    Fault("final reads come at any time", AXIOMS, "(second.thread == final and first.thread != final and second.order != INIT)", "False"),
    Fault("the initial length is the only one", UNFOLDING, "                self.values[LENGTH, 0].add(event.written)", "                pass"),
    # ---- sampling
    Fault("a bound counts switches that nobody is preempted by", SAMPLING, "self.preemptions += self.last in scheduler.enabled and thread != self.last",
          "self.preemptions += thread != self.last"),
    Fault("no preemption is ever tried", SAMPLING, "if self.preemptions < self.search.bound else [self.last]", "if False else [self.last]"),
    Fault("random schedules are all the same", SAMPLING, "return self.random.choice(list(scheduler.enabled))", "return next(iter(scheduler.enabled))"),
    Fault("memory is not reset between executions", PROGRAMS, "            self.memory.u8[:] = self.saved\n", "            pass\n"),
)  # fmt: skip


def applies(fault: Fault) -> bool:
    """Whether the text of a fault is in the code, once."""
    return (ROOT / "refwasm" / fault.file).read_text(encoding="utf-8").count(fault.old) == 1


@contextmanager
def copy_with(fault: Fault) -> Iterator[Path | None]:
    """A copy of refwasm with the fault; None if it does not apply to the code."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in ("refwasm", "tools", "conformance"):
            ignore = shutil.ignore_patterns("__pycache__", "*.wasm", "cases", "stack-switching", "custom-descriptors")
            shutil.copytree(ROOT / name, place / name, ignore=ignore)
        path = place / "refwasm" / fault.file
        text = path.read_text(encoding="utf-8")
        if not applies(fault):
            yield None
            return
        path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        yield place


def noticed(fault: Fault) -> str:
    """What the check says about a fault; empty if nothing. Raises LookupError if it does not apply."""
    with copy_with(fault) as place:
        if place is None:
            raise LookupError(f"{fault.what}: the text is not in {fault.file} once")
        env = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "tools.concurrency_check"]
        try:
            done = subprocess.run(
                command, cwd=place, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return "the check does not end"
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return "" if done.returncode == 0 else (lines[0] if done.stdout.strip() else lines[-1])


def main(argv: list[str] | None = None) -> int:
    """Try all faults, or those whose descriptions match a pattern."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["*"])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(argv)
    faults = [f for f in FAULTS if any(fnmatch.fnmatch(f.what, pattern) for pattern in options.patterns)]
    missed = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for fault, said in zip(faults, pool.map(_tried, faults)):
            missed += not said
            print(f"{'ok    ' if said else 'MISSED'} {fault.what}: {said[:150]}", flush=True)
    print(f"{len(faults) - missed} of {len(faults)} faults noticed")
    return 1 if missed else 0


def _tried(fault: Fault) -> str:
    try:
        return noticed(fault)
    except LookupError as error:
        print(error)
        os._exit(2)


if __name__ == "__main__":
    sys.exit(main())
