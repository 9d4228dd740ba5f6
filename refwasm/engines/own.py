"""refwasm's own tiers as engines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from refwasm import embedding as e
from refwasm.engines.protocol import Ended, each
from refwasm.errors import WasmError
from refwasm.oracle.ended import outcome_of
from refwasm.oracle.outcomes import Outcome, Value
from refwasm.validation.features import ALL

#: Bytes of one memory, and seconds of one call.
MAX_MEMORY, SECONDS = 64 << 20, 10.0


class RefwasmEngine:
    """One of the tiers."""

    merges: tuple[frozenset[str], ...] = ()
    batch = False

    def __init__(self, tier: str, features: frozenset[str] = ALL) -> None:
        self.name, self.version, self.tier, self.features = f"refwasm-{tier}", version("refwasm"), tier, features

    def instantiate(self, module: bytes) -> RefwasmInstance:
        return RefwasmInstance(self, module)

    def close(self) -> None:
        pass


class RefwasmInstance:
    """An instance in a store of its own."""

    def __init__(self, engine: RefwasmEngine, module: bytes) -> None:
        settings = e.Settings()
        settings.memory_pages = MAX_MEMORY >> 16
        self.store = e.store_init(settings, engine.tier)
        self.instance: e.ModuleInst = self._ended(
            lambda: e.module_instantiate(self.store, e.module_validate(e.module_decode(module), engine.features), [])
        )

    def call(self, export: str, words: Sequence[Value]) -> int | None:
        func: Any = self.instance.exports[export]
        results: list[int] = self._ended(lambda: e.func_invoke(self.store, func, [word.bits for word in words]))
        return results[0] if results else None

    def call_all(self, calls: Sequence[tuple[str, Sequence[Value]]]) -> list[int | Outcome | None]:
        return each(self, calls)

    def memory(self, export: str) -> bytes:
        item: Any = self.instance.exports[export]
        return bytes(item.read(0, item.size() * item.page))

    def _ended(self, run: Any) -> Any:
        self.store.settings.deadline = time.monotonic() + SECONDS
        try:
            return run()
        except WasmError as error:
            raise Ended(outcome_of(error)) from None
