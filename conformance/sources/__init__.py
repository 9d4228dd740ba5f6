"""The cases, a module for each chapter of docs/semantics.md."""

from collections.abc import Iterator

from conformance.sources import arguments, buffers, devices, execution, forms, kernels, memory, policies, sharing, traps
from conformance.writing import Case

CHAPTERS = (devices, arguments, buffers, memory, kernels, execution, traps, sharing, policies, forms)


def all_cases() -> Iterator[Case]:
    """Every case."""
    for chapter in CHAPTERS:
        yield from chapter.cases()
