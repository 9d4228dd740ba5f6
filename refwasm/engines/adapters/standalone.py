"""A Python binding of an engine, served by the protocol of ``refwasm oracle``: ``python standalone.py NAME VERSION``.

It runs on any Python from 3.8 on, since some bindings exist for old ones only, and knows nothing of refwasm. What is
particular to an engine is in ``NAME_adapter.py`` beside it: ``instantiate``, ``call``, ``memory``, ``outcome``, MERGES,
and SLOW where memories are better read from outside than by WebAssembly.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

Message = Any


def load(name: str) -> Any:
    """The adapter of an engine."""
    path = Path(__file__).with_name(f"{name}_adapter.py")
    spec = importlib.util.spec_from_file_location(f"{name}_adapter", path)
    assert spec is not None and spec.loader is not None
    adapter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(adapter)
    return adapter


class Server:
    """Instances by number, and the operations on them."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version, self.adapter = name, version, load(name)
        self.instances: dict[int, Any] = {}
        self.next = 1

    def hello(self, request: Message) -> Message:
        """Who this is."""
        return {"protocol": 1, "name": self.name, "version": self.version, "merges": self.adapter.MERGES,
                "batch": not getattr(self.adapter, "SLOW", False)}  # fmt: skip

    def instantiate(self, request: Message) -> Message:
        """A new instance."""
        number = self.next
        self.next += 1
        try:
            self.instances[number] = self.adapter.instantiate(base64.b64decode(request["module"]))
        except Exception as error:  # whatever a binding raises, its adapter tells what it means
            return {"case": number, "outcome": self.adapter.outcome(error, True)}
        return {"case": number, "outcome": {"kind": "returned", "values": []}}

    def call(self, request: Message) -> Message:
        """One call."""
        return {"outcome": self._called(self.instances[request["case"]], request)}

    def call_all(self, request: Message) -> Message:
        """Calls one after the other, whatever comes of them."""
        instance = self.instances[request["case"]]
        return {"outcomes": [self._called(instance, call) for call in request["calls"]]}

    def _called(self, instance: Any, call: Message) -> Message:
        words = [_signed(int(word["bits"], 0), 32 if word["type"] == "i32" else 64) for word in call["args"]]
        try:
            result = self.adapter.call(instance, call["name"], words)
        except Exception as error:  # as above
            return self.adapter.outcome(error, False)
        values = [] if result is None else [{"type": "i64", "bits": hex(int(result) & (1 << 64) - 1)}]
        return {"kind": "returned", "values": values}

    def memory(self, request: Message) -> Message:
        """The contents of an exported memory."""
        found = self.adapter.memory(self.instances[request["case"]], request["name"])
        return {"bytes": base64.b64encode(bytes(found)).decode()}

    def drop(self, request: Message) -> Message:
        """Forget an instance."""
        self.instances.pop(request["case"], None)
        return {}

    def answer(self, line: str) -> Message:
        """The answer to a line."""
        try:
            request = json.loads(line)
            operations = {"hello": self.hello, "instantiate": self.instantiate, "call": self.call,
                          "call_all": self.call_all, "memory": self.memory, "drop": self.drop}  # fmt: skip
            return operations[request["op"]](request)
        except Exception as error:  # a server answers every line
            return {"error": {"kind": "bad-request", "message": f"{type(error).__name__}: {error}"}}


def _signed(word: int, bits: int) -> int:
    return word - (1 << bits) if word >> (bits - 1) else word


def main() -> None:
    """Serve until standard input ends. What a binding prints must not get between the answers."""
    answers, sys.stdout = sys.stdout, sys.stderr
    del sys.path[0]  # this folder: its files are no packages
    server = Server(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        answers.write(json.dumps(server.answer(line)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
