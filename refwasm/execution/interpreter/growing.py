"""Growing memories and tables where the specification lets it fail (3.0, 4.6.8 and 4.6.9)."""

from __future__ import annotations

from refwasm.errors import ResourceLimit
from refwasm.execution.choices import GROW, Choices


def fails(choices: Choices | None, size: int, possible: int, declared: int) -> bool:
    """Whether growing to a size fails though it would be possible: as the choices say. Beyond what is ``declared`` it
    fails anyway. Raises ResourceLimit between what is ``possible`` here and what is declared: others may go on there,
    and who asks for choices wants to know what they do."""
    if choices is None or size > declared:
        return False
    if size > possible:
        raise ResourceLimit(f"growing to a size of {size}: at most {possible} are allowed here")
    return bool(choices.choose(GROW, 2))
