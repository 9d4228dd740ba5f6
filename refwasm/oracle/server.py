"""The oracle as a server: JSON lines in, JSON lines out (``docs/oracle.md`` lists the operations).

Each request is an object with ``op`` and, if the client wants it back, ``id``. Each gets one answer, in order. What is
wrong with a line is said in its answer; the server goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from refwasm.oracle.case import Case, Oracle
from refwasm.oracle.outcomes import Value
from refwasm.oracle.wire import (
    PROTOCOL,
    BadMessage,
    bytes_from,
    bytes_to,
    field,
    outcome_from,
    outcome_to,
    value_from,
    value_to,
    verdict_to,
)
from refwasm.syntax.types import NumType, ValType

#: Longer lines are refused; cases that are open at the same time.
MAX_LINE, MAX_CASES = 256 << 20, 1_000

#: What a server can do, by the name of the operation: from a request to its answer. They raise BadMessage.
Operations = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]


class Server:
    """Cases by number, and the operations on them."""

    def __init__(self, oracle: Oracle, version: str) -> None:
        self.oracle, self.version = oracle, version
        self.cases: dict[int, Case] = {}
        self.next = 1
        self.operations: Operations = {
            "hello": self._hello,
            "instantiate": self._instantiate,
            "call": self._call,
            "call_all": self._call_all,
            "global": self._global,
            "memory": self._memory,
            "admits": self._admits,
            "admits_global": self._admits_global,
            "admits_memory": self._admits_memory,
            "outcomes": self._outcomes,
            "configure": self._configure,
            "drop": self._drop,
        }

    # ---- operations --------------------------------------------------------------------------------------------------

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"protocol": PROTOCOL, "name": "refwasm", "version": self.version,
                "features": sorted(self.oracle.features)}  # fmt: skip

    def _instantiate(self, request: dict[str, Any]) -> dict[str, Any]:
        if len(self.cases) >= MAX_CASES:
            raise BadMessage(f"{MAX_CASES} cases are open: drop some")
        source = field(request, "wat", str) if "wat" in request else bytes_from(field(request, "module", str))
        case = self.oracle.instantiate(source)
        number, self.next = self.next, self.next + 1
        self.cases[number] = case
        types = {name: {"params": list(map(_type, t.params)), "results": list(map(_type, t.results))}
                 for name, t in case.types.items()}  # fmt: skip
        return {"case": number, "outcome": outcome_to(case.outcome), "functions": types,
                "globals": case.names("global"), "memories": case.names("memory")}  # fmt: skip

    def _case(self, request: dict[str, Any]) -> Case:
        number = field(request, "case", int)
        if number not in self.cases:
            raise BadMessage(f"there is no case {number}")
        return self.cases[number]

    def _named(self, request: dict[str, Any], kind: str) -> tuple[Case, str]:
        """A case, and something that it exports."""
        case, name = self._case(request), field(request, "name", str)
        if name not in case.names(kind):
            raise BadMessage(f"the case exports no {kind} {name[:60]!r}")
        return case, name

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        case, name = self._named(request, "func")
        args = list(map(value_from, field(request, "args", list)))
        return {"outcome": outcome_to(case.call(name, _arguments(args, case.types[name].params)))}

    def _call_all(self, request: dict[str, Any]) -> dict[str, Any]:
        number = field(request, "case", int)
        calls = field(request, "calls", list)
        if not all(isinstance(call, dict) for call in calls):
            raise BadMessage("'calls': expected a list of objects")
        calls = [{**call, "case": number} for call in calls]
        return {"outcomes": [self._call(call)["outcome"] for call in calls]}

    def _global(self, request: dict[str, Any]) -> dict[str, Any]:
        case, name = self._named(request, "global")
        return {"value": value_to(case.get_global(name))}

    def _memory(self, request: dict[str, Any]) -> dict[str, Any]:
        case, name = self._named(request, "memory")
        return {"bytes": bytes_to(case.get_memory(name))}

    def _admits(self, request: dict[str, Any]) -> dict[str, Any]:
        return verdict_to(self._case(request).admits(outcome_from(request.get("outcome"))))

    def _admits_global(self, request: dict[str, Any]) -> dict[str, Any]:
        case, name = self._named(request, "global")
        return verdict_to(case.admits_global(name, value_from(request.get("value"))))

    def _admits_memory(self, request: dict[str, Any]) -> dict[str, Any]:
        case, name = self._named(request, "memory")
        return verdict_to(case.admits_memory(name, bytes_from(field(request, "bytes", str))))

    def _outcomes(self, request: dict[str, Any]) -> dict[str, Any]:
        case = self._case(request)
        if case.now is None:
            raise BadMessage("the module of the case was refused")
        found = self.oracle.executions_of(case.validated, case.calls)
        outcomes = [{"outcome": outcome_to(outcome), "choices": text} for outcome, text in found.found.items()]
        return {"outcomes": outcomes, "complete": found.complete}

    def _configure(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"config": self.oracle.configure(field(request, "config", dict))}

    def _drop(self, request: dict[str, Any]) -> dict[str, Any]:
        self._case(request)
        del self.cases[request["case"]]
        return {}


def _type(t: ValType) -> str:
    return t.name if isinstance(t, NumType) else "ref"


def _arguments(args: list[Value], params: tuple[ValType, ...]) -> list[int | None]:
    """Internal values; references can be null only."""
    wanted = list(map(_type, params))
    if [value.type for value in args] != wanted:
        raise BadMessage(f"'args': expected [{' '.join(wanted)}], found [{' '.join(v.type for v in args)}]")
    for value, t in zip(args, params):
        if not isinstance(t, NumType) and (value.bits or not t.nullable):
            raise BadMessage("'args': references can be null only, where the type allows it")
    return [value.bits if isinstance(t, NumType) else None for value, t in zip(args, params)]


def lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream; None for one that is too long, which is read over."""
    while line := stream.readline(MAX_LINE):
        whole = line
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE)
        yield None if line is not whole and line else whole


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def answer(operations: Operations, line: bytes) -> dict[str, Any]:
    """The answer to a line, whatever it holds."""
    request: Any = None
    try:
        request = json.loads(line, parse_constant=_no_number)
        name = field(request, "op", str)
        if name not in operations:
            raise BadMessage(f"unknown op {name[:40]!r}; there are {', '.join(operations)}")
        found = operations[name](request)
    except BadMessage as error:
        found = {"error": {"kind": "bad-request", "message": str(error)}}
    except (ValueError, RecursionError) as error:
        found = {"error": {"kind": "bad-json", "message": str(error)[:200]}}
    except MemoryError:
        found = {"error": {"kind": "limit", "message": "out of memory"}}
    except Exception as error:  # a fault of refwasm's must not end the server
        found = {"error": {"kind": "internal", "message": f"{type(error).__name__}: {error}"[:200]}}
    return {"id": request["id"], **found} if isinstance(request, dict) and "id" in request else found


def serve(operations: Operations, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until there are no more requests, or nobody reads."""
    for line in lines(requests):
        if line is None:
            found: dict[str, Any] = {"error": {"kind": "limit", "message": f"a line of over {MAX_LINE} bytes"}}
        elif not line.strip():
            continue
        else:
            found = answer(operations, line)
        answers.write(json.dumps(found).encode() + b"\n")
        answers.flush()
