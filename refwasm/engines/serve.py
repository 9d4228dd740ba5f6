"""An engine of this process as a server of the protocol: ``python -m refwasm.engines.serve NAME``. So a version of an
engine that is installed elsewhere runs in a process of its own, with that place first among the imports."""

from __future__ import annotations

import json
import sys
from typing import Any

from refwasm.engines.own import RefwasmEngine
from refwasm.engines.protocol import Ended, Engine, Instance
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.oracle.outcomes import Returned, Value
from refwasm.oracle.wire import PROTOCOL, BadMessage, bytes_from, bytes_to, field, outcome_to, value_from


class Serving:
    """The operations that an engine needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.instances: dict[int, Instance] = {}
        self.next = 1

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises BadMessage."""
        op = field(request, "op", str)
        if op == "hello":
            merges = [sorted(m) for m in self.engine.merges]
            return {"protocol": PROTOCOL, "name": self.engine.name, "version": self.engine.version, "merges": merges}
        if op == "instantiate":
            return self._instantiate(bytes_from(field(request, "module", str)))
        number = field(request, "case", int)
        if op == "drop":
            self.instances.pop(number, None)
            return {}
        if number not in self.instances:
            raise BadMessage(f"there is no case {number}")
        if op == "call":
            return self._call(self.instances[number], *_call_of(request))
        if op == "call_all":
            calls = list(map(_call_of, field(request, "calls", list)))
            return {"outcomes": [self._call(self.instances[number], *call)["outcome"] for call in calls]}
        if op == "memory":
            return {"bytes": bytes_to(self.instances[number].memory(field(request, "name", str)))}
        raise BadMessage(f"unknown op {op!r}")

    def _instantiate(self, module: bytes) -> dict[str, Any]:
        number, self.next = self.next, self.next + 1
        try:
            self.instances[number] = self.engine.instantiate(module)
        except Ended as ended:
            return {"case": number, "outcome": outcome_to(ended.outcome)}
        return {"case": number, "outcome": outcome_to(Returned(()))}

    def _call(self, instance: Instance, name: str, words: list[Value]) -> dict[str, Any]:
        try:
            result = instance.call(name, words)
        except Ended as ended:
            return {"outcome": outcome_to(ended.outcome)}
        values = () if result is None else (Value("i64", result & (1 << 64) - 1),)
        return {"outcome": outcome_to(Returned(values))}


def _call_of(message: Any) -> tuple[str, list[Value]]:
    return field(message, "name", str), list(map(value_from, field(message, "args", list)))


def main(name: str) -> None:
    """Serve until standard input ends."""
    engine: Engine = WasmtimeEngine() if name == "wasmtime" else RefwasmEngine(name)
    serving = Serving(engine)
    for line in sys.stdin.buffer:
        try:
            answer = serving.answer(json.loads(line))
        except BadMessage as error:
            answer = {"error": {"kind": "bad-request", "message": str(error)}}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
