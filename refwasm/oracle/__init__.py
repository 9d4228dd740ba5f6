"""The oracle: what a module may do, as a set of outcomes, and whether an engine did one of them."""

from refwasm.oracle.case import Case, Oracle
from refwasm.oracle.outcomes import (
    Exhausted,
    Limited,
    Outcome,
    Outcomes,
    Refused,
    Returned,
    Threw,
    Trapped,
    Value,
    Verdict,
)

__all__ = [
    "Case", "Exhausted", "Limited", "Oracle", "Outcome", "Outcomes", "Refused", "Returned", "Threw", "Trapped",
    "Value", "Verdict",
]  # fmt: skip
