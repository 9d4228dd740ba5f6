"""Python's collector of cyclic garbage, held back while much is made that stays.

The collector starts after so many new objects, and looks at all it knows again and again while they are being made:
a third of the time that it takes to load a large module.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def makes_what_stays(function: Callable[P, R]) -> Callable[P, R]:
    """A function during which the collector does not run."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return function(*args, **kwargs)
        gc.disable()
        try:
            return function(*args, **kwargs)
        finally:
            gc.enable()

    return call


__all__ = ["makes_what_stays"]
