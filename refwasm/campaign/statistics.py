"""Statistics of a campaign: whether it does anything is seen as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from refwasm.campaign.work import AGREES, DIED, DIFFERS, UNDECIDED, Batch
from refwasm.syntax.instructions import FORMS

VERDICTS = (AGREES, DIFFERS, UNDECIDED, DIED)


@dataclass
class Statistics:
    """What was done so far: for each engine how many modules by verdict; calls, and how many of them returned; the
    instructions that the calls got to, by name, and how many of how many."""

    verdicts: dict[str, dict[str, int]] = field(default_factory=dict)
    calls: int = 0
    returned: int = 0
    reached: set[str] = field(default_factory=set)
    executed: int = 0
    instructions: int = 0
    seconds: float = 0.0

    @property
    def modules(self) -> int:
        """How many modules were judged, each engine by itself."""
        return sum(sum(counts.values()) for counts in self.verdicts.values())

    def count(self, verdict: str) -> int:
        """How many modules had a verdict."""
        return sum(counts[verdict] for counts in self.verdicts.values())

    def take(self, batch: Batch) -> None:
        """Add what a job did."""
        for record in batch.records:
            counts = self.verdicts.setdefault(record.engine, dict.fromkeys(VERDICTS, 0))
            counts[record.verdict] += not record.without  # an item counts once
            self.calls += record.calls
            self.returned += record.returned
        self.reached |= batch.reached
        self.executed += batch.instructions[0]
        self.instructions += batch.instructions[1]

    def line(self, buckets: int) -> str:
        """In one line."""
        rate = self.modules / self.seconds if self.seconds else 0.0
        share = 100 * self.returned / self.calls if self.calls else 0.0
        executed = 100 * self.executed / self.instructions if self.instructions else 0.0
        verdicts = ", ".join(f"{self.count(verdict)} {_WORDS[verdict]}" for verdict in VERDICTS)
        return (
            f"{self.modules} modules ({rate:.0f}/s), {self.calls} calls ({share:.0f} % returned), {executed:.0f} % of "
            f"{self.instructions} instructions reached, {len(self.reached)} of {len(FORMS)} kinds; {verdicts}; "
            f"{buckets} buckets"
        )

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {**vars(self), "reached": sorted(self.reached)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Statistics:
        """From JSON."""
        known = {name: state[name] for name in cls.__dataclass_fields__ if name in state}
        return cls(**{**known, "reached": set(known.get("reached", ()))})


_WORDS = {AGREES: "agree", DIFFERS: "differ", UNDECIDED: "undecided", DIED: "died"}
