"""Facts about integer locals: bounds and alignment, what a branch tells, and what is left where ways join."""

from __future__ import annotations

from refwasm.execution.compiler.translation.values import BITS, Value, integer

#: Lower bound, upper bound, and the power of two that an integer local is a multiple of.
Fact = tuple[int, int, int]
#: What is known about locals, by index.
Facts = dict[int, Fact]

_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_OPPOSITE |= {f"{name}s": f"{other}s" for name, other in _OPPOSITE.items()}
_MIRRORED = {"eq": "eq", "ne": "ne", "lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}
_MIRRORED |= {f"{name}s": f"{other}s" for name, other in _MIRRORED.items()}


def refined(facts: Facts, condition: Value, outcome: bool) -> Facts:
    """The facts where a condition holds, or where it does not; a new dictionary."""
    found = dict(facts)
    if condition.compare is not None:
        name, a, b = condition.compare
    elif condition.adds is not None:
        name, a, b = "ne", condition, integer(0, condition.type)
    else:
        return found
    if not outcome:
        name = _OPPOSITE[name]
    _narrow(found, name, a, b)
    _narrow(found, _MIRRORED[name], b, a)
    return found


def _narrow(facts: Facts, name: str, a: Value, b: Value) -> None:
    """``a name b`` holds: what follows for a local ``a``. Names ending in s compare as signed."""
    if not a.atom or a.adds is None:
        return
    low, high = a.lo, a.hi
    if name.endswith("s"):
        half = 1 << (BITS[a.type] - 1)
        if b.hi >= half or name[:2] not in ("ge", "gt"):
            return
        high = min(high, half - 1)
        name = name[:2]
    if name == "eq":
        low, high = max(low, b.lo), min(high, b.hi)
    elif name == "lt":
        high = min(high, b.hi - 1)
    elif name == "le":
        high = min(high, b.hi)
    elif name == "gt":
        low = max(low, b.lo + 1)
    elif name == "ge":
        low = max(low, b.lo)
    elif name == "ne" and b.constant is not None:
        low, high = low + (b.constant == low), high - (b.constant == high)
    known = facts.get(a.adds)
    if known is not None:
        low, high = max(low, known[0]), min(high, known[1])
    if low <= high:
        facts[a.adds] = (low, high, a.alignment)


def joined(one: Facts | None, other: Facts) -> Facts:
    """What is known when control comes from either side; ``one`` is None if nothing came from there so far."""
    if one is None:
        return dict(other)
    found = {}
    for index, (low, high, alignment) in one.items():
        fact = other.get(index)
        if fact is not None:
            found[index] = (min(low, fact[0]), max(high, fact[1]), min(alignment, fact[2]))
    return found
