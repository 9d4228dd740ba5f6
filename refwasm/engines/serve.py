"""An engine of this process as a server of the protocol: ``python -m refwasm.engines.serve NAME``. So a version of an
engine that is installed elsewhere runs in a process of its own, with that place first among the imports."""

from __future__ import annotations

import sys
from typing import Any

from refwasm.engines.own import RefwasmEngine
from refwasm.engines.protocol import Ended, Engine, Instance
from refwasm.engines.wasmtime_engine import WasmtimeEngine
from refwasm.oracle.outcomes import Returned, Value
from refwasm.oracle.server import Operations, serve
from refwasm.oracle.wire import PROTOCOL, BadMessage, bytes_from, bytes_to, field, outcome_to, value_from


class Serving:
    """The operations that an engine needs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.instances: dict[int, Instance] = {}
        self.next = 1
        self.operations: Operations = {
            "hello": self._hello,
            "instantiate": self._instantiate,
            "call": lambda request: self._call(self._instance(request), request),
            "call_all": self._call_all,
            "memory": lambda request: {
                "bytes": bytes_to(self._instance(request).memory(field(request, "name", str)) or b"")
            },
            "drop": self._drop,
        }

    def _hello(self, request: dict[str, Any]) -> dict[str, Any]:
        merges = [sorted(m) for m in self.engine.merges]
        return {"protocol": PROTOCOL, "name": self.engine.name, "version": self.engine.version, "merges": merges}

    def _instance(self, request: dict[str, Any]) -> Instance:
        number = field(request, "case", int)
        if number not in self.instances:
            raise BadMessage(f"there is no case {number}")
        return self.instances[number]

    def _instantiate(self, request: dict[str, Any]) -> dict[str, Any]:
        module = bytes_from(field(request, "module", str))
        number, self.next = self.next, self.next + 1
        try:
            self.instances[number] = self.engine.instantiate(module)
        except Ended as ended:
            return {"case": number, "outcome": outcome_to(ended.outcome)}
        return {"case": number, "outcome": outcome_to(Returned(()))}

    def _call(self, instance: Instance, call: Any) -> dict[str, Any]:
        name, words = field(call, "name", str), list(map(value_from, field(call, "args", list)))
        try:
            result = instance.call(name, words)
        except Ended as ended:
            return {"outcome": outcome_to(ended.outcome)}
        values = () if result is None else (Value("i64", result & (1 << 64) - 1),)
        return {"outcome": outcome_to(Returned(values))}

    def _call_all(self, request: dict[str, Any]) -> dict[str, Any]:
        instance = self._instance(request)
        return {"outcomes": [self._call(instance, call)["outcome"] for call in field(request, "calls", list)]}

    def _drop(self, request: dict[str, Any]) -> dict[str, Any]:
        self.instances.pop(field(request, "case", int), None)
        return {}


def main(name: str) -> None:
    """Serve until standard input ends."""
    engine: Engine = WasmtimeEngine() if name == "wasmtime" else RefwasmEngine(name)
    serve(Serving(engine).operations, sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main(sys.argv[1])
