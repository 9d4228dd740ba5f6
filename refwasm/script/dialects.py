"""Dialects of the script language: the suites of other engines, run as they are.

What a dialect changes, and nothing of WebAssembly's meaning:

- comments at the head of a file say which features it needs (``;;! gc = true``, ``;; RUN: wast … -f gc``);
- a module with a name can be imported under it, without ``register``;
- messages are the engine's own: what is refused must be refused, by decoding or validation; a trap must be of the same
  class;
- ``(ref.func 2)`` expects a function, whatever its number;
- plain instructions may be operands of a folded one: ``(ref.i31 local.get 1)``.

A script that needs what refwasm does not have (components, say) is not applicable, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from refwasm.errors import Invalid, Malformed, ResourceLimit, Trap, WasmError
from refwasm.validation.features import ALL, EDITIONS, NAMES, UNFINISHED, VERSION_1


class NotApplicable(Exception):
    """A script can't be run here; the text says why."""


@dataclass(frozen=True)
class Dialect:
    """``features`` gives those that a script's text asks for, and raises NotApplicable. The rest is as above."""

    name: str
    features: Callable[[str, frozenset[str]], frozenset[str]]
    executes: bool = True  # whether the engine runs modules, and not only validates them
    host: tuple[tuple[str, str], ...] = ()  # functions without parameters and results that the engine's tests import

    def says(self, error: WasmError, kind: str, expected: str) -> bool:
        """Whether an error is what the script expects."""
        if isinstance(error, (Malformed, Invalid)) or kind == "unlinkable":
            return True
        if not isinstance(error, Trap):
            return True
        ours, theirs = trap_class(error.message), trap_class(expected)
        return ours == theirs or expected in error.message or (expected == "out of bounds" and ours.endswith("bounds"))

    def classes(self, kind: str, wanted: type[WasmError], expected: str) -> tuple[type[WasmError], ...]:
        """The classes of errors that an assertion accepts: some engines trap where they have no room, and some call it
        a failure to link that a segment does not fit."""
        if kind.partition("_")[0] in ("malformed", "invalid"):
            return (Malformed, Invalid)
        if kind == "trap" and "alloc" in expected:
            return (Trap, ResourceLimit)
        return (wanted, Trap) if expected.startswith("out of bounds") else (wanted,)


#: Words of messages that tell the class of a trap; the first that occurs counts.
_TRAPS: tuple[tuple[str, str], ...] = (
    ("unreachable", "unreachable"),
    ("divide by zero", "division by zero"),
    ("integer overflow", "overflow"),
    ("invalid conversion", "conversion"),
    ("unaligned", "alignment"),
    ("non-shared", "shared memory"),
    ("shared memory", "shared memory"),
    ("call type mismatch", "signature"),
    ("uninitialized", "null"),
    ("null", "null"),
    ("cast", "cast"),
    ("out of bounds array", "array bounds"),
    ("out of bounds memory", "memory bounds"),
    ("out of bounds table", "table bounds"),
    ("undefined element", "table bounds"),
    ("stack exhausted", "stack"),
    ("continuation", "continuation"),
)


def trap_class(message: str) -> str:
    """What kind of trap a message means, in words of ours; the message itself if that can't be told."""
    text = message.lower()
    return next((found for word, found in _TRAPS if word in text), message)


# ---- wasmtime: tests/misc_testsuite ----------------------------------------------------------------------------------

#: Options of wasmtime that are features of refwasm under another name.
_WASMTIME = {
    "exceptions": "exception-handling", "gc_types": "gc", "relaxed_simd": "relaxed-simd", "stack_switching":
    "stack-switching", "custom_page_sizes": "custom-page-sizes", "wide_arithmetic": "wide-arithmetic",
    "custom_descriptors": "custom-descriptors",
}  # fmt: skip
#: Options that ask for nothing that refwasm does not always have, or that are about wasmtime's implementation.
_HARMLESS = frozenset({"hogs_memory", "nan_canonicalization", "branch_hinting"})


def _wasmtime_features(text: str, chosen: frozenset[str]) -> frozenset[str]:
    for name, value in re.findall(r"^;;!\s*(\w+)\s*=\s*(\w+)", text, re.MULTILINE):
        feature = _WASMTIME.get(name, name.replace("_", "-"))
        if value != "true":
            chosen -= {feature}
        elif feature in NAMES:
            chosen |= {feature}
        elif name not in _HARMLESS:
            raise NotApplicable(f"it needs {name}")
    return chosen


# ---- wasm-tools: tests/cli -------------------------------------------------------------------------------------------

_WASM_TOOLS: dict[str, frozenset[str]] = {
    "mvp": frozenset({"mvp"}), "wasm1": VERSION_1, "wasm2": EDITIONS["2.0"], "wasm3": EDITIONS["3.0"],
    "exceptions": frozenset({"exception-handling"}), "gc-types": frozenset({"gc"}), "all": ALL | UNFINISHED,
    "compact-imports": frozenset({"compact-import-section"}), "saturating-float-to-int":
    frozenset({"nontrapping-fptoint"}), "mutable-global": frozenset({"mutable-globals"}),
    "branch-hinting": frozenset(),
}  # fmt: skip


def _wasm_tools_features(text: str, chosen: frozenset[str]) -> frozenset[str]:
    """From the line that says how wasm-tools runs the file."""
    joined = re.sub(r"\\\n;;", " ", text)
    commands = [line.split() for line in re.findall(r"^;;\s*RUN(?:\[[^]]*\])?:(.*)$", joined, re.MULTILINE)]
    words = next((words for words in commands if words[:1] == ["wast"]), None)
    if words is None:
        raise NotApplicable("it is not run as a script")
    other = next((word for word in words if word.endswith(".wast")), None)
    if other is not None:
        raise NotApplicable(f"it runs another script, {other}")
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("-f", "--features"):
            for name in (value if equals else words[place + 1]).split(","):
                chosen = _with_feature(chosen, name)
    return chosen


def _with_feature(chosen: frozenset[str], name: str) -> frozenset[str]:
    plain = name.removeprefix("-")
    found = _WASM_TOOLS.get(plain, frozenset({plain}) if plain in NAMES else None)
    if name.startswith("-"):
        if plain in ("floats", "gc-types"):
            raise NotApplicable(f"it is about {plain} being switched off, which no proposal knows")
        return chosen - (found or frozenset())
    if found is None:
        raise NotApplicable(f"it needs {plain}")
    if plain in ("mvp", "wasm1", "wasm2", "wasm3"):
        return found
    return chosen | found


#: Scripts, by the end of their path, that assert what an engine chose, and what that is.
_CHOICES = {
    "custom-page-sizes/max-size-invalid.wast": "wasmtime has no memory of 2^32 - 1 pages of one byte",
    "custom-page-sizes/max-size-invalid-shared-memory.wast": "wasmtime has no memory of 2^32 - 1 pages of one byte",
    "memory64/table-too-big.wast": "wasmtime traps where a table can't grow; the specification gives -1",
    "misc_testsuite/stack-switching-and-gc.wast": "wasmtime does not have stack switching and GC together",
    "cli/empty.wast": "wasm-tools refuses the empty text, which the grammar has: a module without fields",
    "cli/producers.wast": "wasm-tools checks the contents of a custom section",
    "cli/wat-numerics.wast": "numbers as data are a proposal that is not in the text format yet",
    "missing-features/custom-page-sizes.wast": "an explicit page size of 65,536 means the same as none",
    "missing-features/missing-exceptions.wast": "an empty section of tags means the same as none",
    "missing-features/rec-group.wast": "a recursion group of one type means the same as the type",
}  # fmt: skip


def check_script(path: str, text: str) -> None:
    """NotApplicable: the script is about an engine's own choices, or components, which are another specification's."""
    for end, reason in _CHOICES.items():
        if path.endswith(end):
            raise NotApplicable(reason)
    if re.search(r"^\s*\((?:component|assert_\w+\s*\(component)\b", text, re.MULTILINE):
        raise NotApplicable("it is about components")


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("wasmtime", _wasmtime_features, host=(("wasmtime", "gc"),)),
        Dialect("wasm-tools", _wasm_tools_features, executes=False),
    )
}

__all__ = ["DIALECTS", "Dialect", "NotApplicable", "check_script", "trap_class"]
