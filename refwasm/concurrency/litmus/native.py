"""Engines that run litmus tests on real threads."""

from __future__ import annotations

import base64
import ctypes
import json
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from refwasm import embedding as e
from refwasm.concurrency.litmus.modules import as_native_module, as_wasi_program, native_pages
from refwasm.concurrency.litmus.notation import LitmusTest
from refwasm.errors import WasmError
from refwasm.host.parallel.devices.native import binding

#: Runs all threads of a test once, each with two numbers, on a memory of zeros; gives the memory afterwards.
Start = Callable[[Sequence[tuple[int, int]]], bytes]
#: Seconds that an engine may take for one start.
PATIENCE = 60


class EngineFailed(WasmError):
    """An engine is not there, or did not do what it was asked."""


class NativeEngine(Protocol):
    """What runs litmus tests."""

    name: str

    def loaded(self, test: LitmusTest, instances: int) -> Any:
        """A context manager: gives what starts the threads of a test."""

    def close(self) -> None:
        """End it."""


def native_engine(name: str) -> NativeEngine:
    """``wasmtime``, ``node``, or a command that runs programs of wasi-threads. Raises EngineFailed."""
    if name == "wasmtime":
        return Wasmtime()
    if name == "node":
        return Node()
    return Command(name)


class Wasmtime:
    """wasmtime in this process, each thread with a store of its own."""

    def __init__(self) -> None:
        try:
            import wasmtime
        except ImportError:
            raise EngineFailed("wasmtime is not installed: pip install 'refwasm[engines]'") from None
        self.api: Any = wasmtime
        if not hasattr(wasmtime, "SharedMemory"):
            raise EngineFailed("this wasmtime has no shared memories for Python: pip install -U wasmtime")
        from importlib.metadata import version

        self.name = f"wasmtime {version('wasmtime')}"
        config = wasmtime.Config()
        config.wasm_threads = True
        if hasattr(type(config), "shared_memory"):
            config.shared_memory = True
        self.engine = wasmtime.Engine(config)

    @contextmanager
    def loaded(self, test: LitmusTest, instances: int) -> Iterator[Start]:
        """An instance for each thread."""
        api, pages = self.api, native_pages(test, instances)
        binary = e.module_encode(e.module_parse(as_native_module(test, instances)))
        module = api.Module(self.engine, binary)
        memory = binding.make_shared_memory(self.engine, pages, pages)
        functions = []
        for name in test.threads:
            store = api.Store(self.engine)
            functions.append((store, api.Instance(store, module, [memory]).exports(store)[name]))

        def start(numbers: Sequence[tuple[int, int]]) -> bytes:
            size = memory.data_len()
            ctypes.memset(memory.data_ptr(), 0, size)
            failed: list[BaseException] = []

            def call(store: Any, function: Any, pair: tuple[int, int]) -> None:
                try:
                    function(store, *pair)
                except Exception as error:
                    failed.append(error)

            threads = [threading.Thread(target=call, args=(*f, pair)) for f, pair in zip(functions, numbers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failed:
                raise EngineFailed(f"{test.name}: {failed[0]}")
            return ctypes.string_at(memory.data_ptr(), size)

        yield start

    def close(self) -> None:
        """Nothing to end."""


class Node:
    """V8 in Node.js, each thread a worker."""

    def __init__(self) -> None:
        if shutil.which("node") is None:
            raise EngineFailed("there is no command 'node': install Node.js")
        script = Path(__file__).with_name("threads.mjs")
        self.process = subprocess.Popen(["node", str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        versions = subprocess.run(
            ["node", "-p", "process.versions.v8"], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        self.name = f"V8 {versions.stdout.strip()}"

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            watchdog.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "node ended, or took too long"}
        if "error" in answer:
            raise EngineFailed(f"node: {answer['error']}")
        return answer

    @contextmanager
    def loaded(self, test: LitmusTest, instances: int) -> Iterator[Start]:
        """A worker for each thread."""
        binary = e.module_encode(e.module_parse(as_native_module(test, instances)))
        self._ask({
            "module": base64.b64encode(binary).decode(), "pages": native_pages(test, instances),
            "threads": list(test.threads),
        })  # fmt: skip
        yield lambda numbers: base64.b64decode(self._ask({"start": numbers})["memory"])

    def close(self) -> None:
        """End node."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Command:
    """A command that runs a program of wasi-threads: it gets the program's file as its last argument. The program
    starts the threads of the test itself, and writes its memory to standard output."""

    def __init__(self, command: str) -> None:
        self.command = shlex.split(command)
        if not self.command or shutil.which(self.command[0]) is None:
            raise EngineFailed(f"there is no command {command!r}: expected wasmtime, node, refwasm, or a command that "
                               "runs programs of wasi-threads")  # fmt: skip
        self.name = command

    @contextmanager
    def loaded(self, test: LitmusTest, instances: int) -> Iterator[Start]:
        """Each start is a process."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "test.wasm"

            def start(numbers: Sequence[tuple[int, int]]) -> bytes:
                text = as_wasi_program(test, instances, numbers)
                file.write_bytes(e.module_encode(e.module_parse(text)))
                try:
                    done = subprocess.run(
                        [*self.command, str(file)], capture_output=True, timeout=PATIENCE, check=False
                    )
                except subprocess.TimeoutExpired:
                    raise EngineFailed(f"{self.name}: no answer within {PATIENCE} s") from None
                size = native_pages(test, instances) << 16
                if done.returncode or len(done.stdout) != size:
                    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
                    raise EngineFailed(f"{self.name}: exit code {done.returncode}, {len(done.stdout)} bytes of output "
                                       f"(expected {size}){': ' + said[0] if said else ''}")  # fmt: skip
                return done.stdout

            yield start

    def close(self) -> None:
        """Nothing to end."""
