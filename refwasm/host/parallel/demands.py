"""What a program demands of the host: policies that it can't run without (PAR-DEMAND-01).

A program says so in a custom section named ``wasi-parallel``: text in the form of ``refwasm run --policy``, such as
``memory=alias``. A program that was compiled from C or C++ needs that, since its pointers lead into its own memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from refwasm.errors import Unlinkable
from refwasm.host.parallel.policies import Policies
from refwasm.syntax.modules import Custom

SECTION = "wasi-parallel"


def demanded(customs: Iterable[Custom]) -> dict[str, str]:
    """The policies that a program's custom sections demand, by name. Unlinkable if they can't be read."""
    found: dict[str, str] = {}
    for custom in customs:
        if custom.name != SECTION:
            continue
        try:
            text = custom.content.decode()
            Policies.parse(text)
        except ValueError as error:
            raise Unlinkable(f"custom section {SECTION}: {error} (PAR-DEMAND-01)") from None
        found |= dict(word.split("=", 1) for word in text.split(",") if word)
    return found


def honoured(policies: Policies, customs: Iterable[Custom]) -> Policies:
    """The policies with what the program demands. Unlinkable if another value than the default was chosen for one."""
    demands = demanded(customs)
    if not demands:
        return policies
    wanted = Policies.parse(",".join(f"{name}={value}" for name, value in demands.items()))
    default = Policies()
    for field in fields(Policies):
        name = field.name
        chosen, needed = getattr(policies, name), getattr(wanted, name)
        if name in demands and chosen not in (needed, getattr(default, name)):
            raise Unlinkable(f"the program demands the policy {name}={needed}, not {name}={chosen} (PAR-DEMAND-01)")
    return replace(policies, **{name: getattr(wanted, name) for name in demands if name != "seed"})
