"""Translating functions, once: what was made of them is kept for all instances of a module, and in the cache."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol

from refwasm.execution.compiler.boundaries import can_be_left
from refwasm.execution.compiler.conventions import Untranslatable
from refwasm.execution.compiler.linking import ahead
from refwasm.execution.compiler.linking.cache import CodeCache, Kept
from refwasm.execution.compiler.linking.entrance import Compiled
from refwasm.execution.store import FuncInst, ModuleInst, Settings
from refwasm.execution.watchdog import within

#: Modules with fewer functions start quickly, whatever is known of them.
MANY = 50


class Choice(Protocol):
    """What is to be translated: ``whole`` functions, or only what of them is executed."""

    whole: bool

    def is_hot(self, func: FuncInst) -> bool:
        """Whether calls of a function go to compiled code."""

    def absent(self, func: FuncInst) -> bytes:
        """A byte for each instruction that is not to be translated, or none: see :class:`.translation.Translation`."""

    def resume(self, func: FuncInst, pc: int, locals: list[Any], stack: list[Any]) -> list[Any]:
        """Execute the rest of a function from such an instruction on."""


class Everything:
    """All of it."""

    whole = True

    def is_hot(self, func: FuncInst) -> bool:
        return True

    def absent(self, func: FuncInst) -> bytes:
        return b""

    def resume(self, func: FuncInst, pc: int, locals: list[Any], stack: list[Any]) -> list[Any]:
        raise AssertionError("nothing is absent")


class Options(NamedTuple):
    """What code depends on besides the module: whether loops look at limits, and whether fuel is counted."""

    polls: bool = False
    fuel: bool = False


class Compilation:
    """Translates the functions of one store under ``options``, and keeps what was made of them."""

    def __init__(self, settings: Settings, choice: Choice) -> None:
        self.settings, self.choice = settings, choice
        self.options = Options()
        self.caches: dict[tuple[bytes, Any], CodeCache] = {}

    def compiled(self, func: FuncInst) -> Compiled:
        """Translate a function, unless that was done before: for another instance, or by another process. Raises
        Untranslatable."""
        known, cache = self._known(func.module), self._cache(func.module)
        found = known.get(func.index)
        if found is None and cache is not None:
            found = cache.get(func.index)
            if found is None and func.index in cache and cache.ahead:
                self._compile_ahead(func.module, cache)
                found = cache.get(func.index)
        if found is None or (found.absent and self.choice.whole):
            return self.compiled_again(func)
        known[func.index] = found
        return Compiled(func, found.code, found.spans)

    def absent(self, func: FuncInst) -> bytes | None:
        """What is left out of the code of a function, or would be if it was executed before; None if that is not
        known."""
        found, cache = self._known(func.module).get(func.index), self._cache(func.module)
        return found.absent if found is not None else cache.absent.get(func.index) if cache is not None else None

    def _known(self, instance: ModuleInst) -> dict[int, Kept | None]:
        """What was compiled for instances of the same module, under the same options; None if it should be."""
        return instance.validated.code.setdefault(self.options, {})  # type: ignore[no-any-return]

    def _compile_ahead(self, instance: ModuleInst, cache: CodeCache) -> None:
        """Compile all functions that processes before this one used, if they are many: it will use them too."""
        cache.ahead = False
        missing = [index for index in sorted(cache.absent) if cache.get(index) is None]

        def compiled(index: int) -> tuple[Any, ...] | None:
            func = instance.funcs[index] if index < len(instance.funcs) else None
            if not isinstance(func, FuncInst) or not self.choice.is_hot(func):
                return None
            with suppress(Untranslatable):
                return tuple(self._kept(func))
            return None

        if len(missing) >= ahead.MANY:
            for index, kept in ahead.compiled_ahead(missing, compiled, self.settings.check):
                cache.put(index, Kept(*kept))

    def _kept(self, func: FuncInst) -> Kept:
        """Translate a function, without what nobody has executed."""
        absent = b"" if self.options.fuel else self.choice.absent(func)
        return self._python(func, absent if any(absent) and can_be_left(func) else b"")

    def compiled_again(self, func: FuncInst) -> Compiled:
        """Translate a function, since more of it was executed, or nobody did. Raises Untranslatable."""
        kept = self._kept(func)
        self._known(func.module)[func.index] = kept
        cache = self._cache(func.module)
        if cache is not None:
            cache.put(func.index, kept)
        return Compiled(func, kept.code, kept.spans)

    def _python(self, func: FuncInst, absent: bytes) -> Kept:
        from refwasm.execution.compiler.translation.python import python_of  # a third of the start-up time

        translate = partial(python_of, func, *self.options, absent)
        python = within(self.settings, translate)
        return Kept(python.code, python.spans, python.absent)

    def is_known(self, func: FuncInst) -> bool:
        """Whether a function was compiled before; or used before, in another process: then it will be needed again."""
        cache = self._cache(func.module)
        return func.index in self._known(func.module) or (cache is not None and func.index in cache)

    def note(self, func: FuncInst, absent: Callable[[], bytes]) -> None:
        """A function is used, though not worth compiling in this process alone; ``absent`` gives what of it is not."""
        if len(func.module.funcs) >= MANY and (cache := self._cache(func.module)) is not None:
            cache.note(func.index, absent)

    def _cache(self, instance: ModuleInst) -> CodeCache | None:
        directory, digest = self.settings.cache, instance.module.digest
        if directory is None or not digest:
            return None
        options = self.options
        if (digest, options) not in self.caches:
            cache = self.caches[digest, options] = CodeCache(directory, digest, options)
            weakref.finalize(self, cache.save)
        return self.caches[digest, options]

    def save(self) -> None:
        """Write new code to the cache now."""
        for cache in self.caches.values():
            cache.save()

    def loop_from(self, func: FuncInst, pc: int, absent: bytes) -> Compiled:
        """Translate a function from a loop on, without what is ``absent``. Raises Untranslatable."""
        from refwasm.execution.compiler.translation.python import loop_from

        python = within(self.settings, partial(loop_from, func, pc, self.options.polls, absent))
        self._known(func.module).setdefault(func.index, None)  # the next instance will call it
        return Compiled(func, python.code, python.spans)

    def left_at_once(self, func: FuncInst) -> Compiled:
        """Code of a function that leaves it for the interpreter as soon as it is called."""
        nothing = self._python(func, absent=b"\1" * len(func.body))
        return Compiled(func, nothing.code, nothing.spans)
