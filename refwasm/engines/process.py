"""Engines in processes of their own, which speak the protocol of ``refwasm oracle`` (``docs/oracle.md``)."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from refwasm.engines.protocol import Died, Ended, Unavailable
from refwasm.oracle.outcomes import Outcome, Returned, Value
from refwasm.oracle.wire import PROTOCOL, BadMessage, bytes_from, bytes_to, field, outcome_from, value_to
from refwasm.validation.features import ALL, NAMES

#: Seconds that an engine has for an answer, and for its first one.
TIMEOUT, START = 10.0, 60.0


@contextmanager
def understood() -> Iterator[None]:
    """Turns what is wrong with an answer into Died."""
    try:
        yield
    except BadMessage as error:
        raise Died(f"it does not speak the protocol: {error}") from None


class ProcessEngine:
    """A command that speaks the protocol. It is started when it is first needed, and again after it died."""

    merges: tuple[frozenset[str], ...] = ()
    batch = True

    def __init__(self, command: Sequence[str], name: str = "", timeout: float = TIMEOUT) -> None:
        if shutil.which(command[0]) is None:
            raise Unavailable(f"there is no command {command[0]!r}")
        self.command, self.timeout = list(command), timeout
        self.process: subprocess.Popen[bytes] | None = None
        self.rest = b""
        found = self._start()
        if found.get("protocol") != PROTOCOL:
            self.close()
            raise Unavailable(f"{command[0]} speaks protocol {found.get('protocol')}, not {PROTOCOL}")
        self.name, self.version = name or str(found.get("name", command[0])), str(found.get("version", "?"))
        known = found.get("features")
        self.features = frozenset(map(str, known)) & NAMES if isinstance(known, list) else ALL
        self.batch = found.get("batch") is not False
        merges = found.get("merges", [])
        lists = merges if isinstance(merges, list) else []
        self.merges = tuple(frozenset(map(str, m)) for m in lists if isinstance(m, list))

    def instantiate(self, module: bytes) -> ProcessInstance:
        answer = self.ask({"op": "instantiate", "module": bytes_to(module)})
        with understood():
            self.expect_returned(answer)
            return ProcessInstance(self, field(answer, "case", int))

    def expect_returned(self, answer: dict[str, Any]) -> Returned:
        """The values of an answer. Raises Ended."""
        outcome = outcome_from(answer.get("outcome"))
        if not isinstance(outcome, Returned):
            raise Ended(outcome)
        return outcome

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises Died."""
        if self.process is None:
            self._start()
        return self._exchange(request, self.timeout)

    def _start(self) -> dict[str, Any]:
        """Start the process; its answer to the greeting, for which it has longer. Some write a line for each trap."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.rest = b""
        return self._exchange({"op": "hello"}, START)

    def _exchange(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self._line(time.monotonic() + timeout))
        except (OSError, ValueError) as error:
            raise self._dead(f"{error}") from None
        if not isinstance(answer, dict) or "error" in answer:
            raise self._dead(f"it answered {str(answer)[:200]}")
        return answer

    def _line(self, until: float) -> bytes:
        """The next line of what the process writes."""
        process = self.process
        assert process is not None and process.stdout is not None
        ready = select.poll()  # select knows no descriptors beyond 1,023
        ready.register(process.stdout, select.POLLIN)
        while b"\n" not in self.rest:
            left = until - time.monotonic()
            if left <= 0 or not ready.poll(left * 1e3):
                raise self._dead("it did not answer in time")
            piece = os.read(process.stdout.fileno(), 1 << 20)
            if not piece:
                raise self._dead("it ended")
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def _dead(self, reason: str) -> Died:
        code = self.process.poll() if self.process is not None else None
        self.close()
        return Died(f"{reason} (exit code {code})" if code is not None else reason)

    def close(self) -> None:
        if self.process is None:
            return
        with suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self.process = None


def _result(outcome: Outcome) -> int | Outcome | None:
    if not isinstance(outcome, Returned):
        return outcome
    return outcome.values[0].bits if outcome.values else None


class ProcessInstance:
    """A case of the process."""

    def __init__(self, engine: ProcessEngine, case: int) -> None:
        self.engine, self.case, self.process = engine, case, engine.process

    def call(self, export: str, words: Sequence[Value]) -> int | None:
        args = list(map(value_to, words))
        answer = self.engine.ask({"op": "call", "case": self.case, "name": export, "args": args})
        with understood():
            values = self.engine.expect_returned(answer).values
        return values[0].bits if values else None

    def call_all(self, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        wanted = [{"name": export, "args": list(map(value_to, words))} for export, words in calls]
        answer = self.engine.ask({"op": "call_all", "case": self.case, "calls": wanted})
        with understood():
            outcomes = list(map(outcome_from, field(answer, "outcomes", list)))
        if len(outcomes) != len(calls):
            raise Died(f"it answered {len(calls)} calls with {len(outcomes)} outcomes")
        return [_result(outcome) for outcome in outcomes]

    def memory(self, export: str) -> bytes:
        answer = self.engine.ask({"op": "memory", "case": self.case, "name": export})
        with understood():
            return bytes_from(field(answer, "bytes", str))

    def __del__(self) -> None:
        if self.engine.process is self.process and self.process is not None:
            with suppress(Died):
                self.engine.ask({"op": "drop", "case": self.case})
