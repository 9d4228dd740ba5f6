"""The loop of a campaign: each item on each engine, statistics as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from refwasm import embedding as e
from refwasm.campaign.findings import Finding, Findings, died, finding
from refwasm.campaign.reproducer import reproducer, script
from refwasm.campaign.source import Item
from refwasm.engines.judging import Judgement, judge
from refwasm.engines.protocol import Died, Engine
from refwasm.oracle.case import Oracle
from refwasm.oracle.outcomes import AGREES, DIFFERS

#: Seconds between two reports.
INTERVAL = 10.0


@dataclass
class Statistics:
    """What was done so far: modules by verdict, calls, and how many of them returned."""

    modules: int = 0
    agrees: int = 0
    differs: int = 0
    undecided: int = 0
    died: int = 0
    calls: int = 0
    returned: int = 0
    seconds: float = 0.0

    def line(self, buckets: int) -> str:
        """In one line."""
        rate = self.modules / self.seconds if self.seconds else 0.0
        share = 100 * self.returned / self.calls if self.calls else 0.0
        return (
            f"{self.modules} modules ({rate:.0f}/s), {self.calls} calls ({share:.0f} % returned), {self.agrees} agree, "
            f"{self.differs} differ, {self.undecided} undecided, {self.died} died; {buckets} buckets"
        )


class Campaign:
    """Engines, a source of items, and a folder for what is found. Started again on the same folder, it goes on behind
    the last item that was finished."""

    def __init__(self, engines: list[Engine], oracle: Oracle, folder: Path, tell: Callable[[str], object]) -> None:
        self.engines, self.oracle, self.tell = engines, oracle, tell
        self.findings = Findings(folder)
        state = self.findings.load()
        known = {k: v for k, v in state.items() if k in Statistics.__dataclass_fields__}
        self.statistics = Statistics(**known)
        self.done: int = state.get("done", 0)

    def run(self, items: Iterable[Item], seconds: float | None = None) -> Statistics:
        """Judge items until there are no more, or time is up."""
        began = told = time.monotonic()
        before, done = self.statistics.seconds, self.done
        for number, item in enumerate(items):
            if number < done:
                continue
            for engine in self.engines:
                self._judge(engine, item)
            now = time.monotonic()
            self.statistics.seconds, self.done = before + now - began, number + 1
            if now - told > INTERVAL:
                told = now
                self._save()
                self.tell(self.statistics.line(len(self.findings.buckets)))
            if seconds is not None and now - began > seconds:
                break
        self._save()
        return self.statistics

    def _save(self) -> None:
        self.findings.save({**asdict(self.statistics), "done": self.done})

    def _judge(self, engine: Engine, item: Item) -> None:
        statistics, name = self.statistics, f"{engine.name} {engine.version}"
        statistics.modules += 1
        try:
            judgement = judge(self.oracle, engine, item.module, item.calls, item.seed)
        except Died as error:
            statistics.died += 1
            self._add(died(name, item, str(error)))
            return
        statistics.calls += judgement.calls
        statistics.returned += judgement.returned
        kind = judgement.verdict.kind
        statistics.agrees += kind == AGREES
        statistics.differs += kind == DIFFERS
        statistics.undecided += kind not in (AGREES, DIFFERS)
        if kind == DIFFERS:
            found = finding(judgement, name, item)
            if self._add(found):
                self._reproduce(engine, item, found, judgement)

    def _add(self, found: Finding) -> bool:
        """Keep a finding; whether its bucket is new."""
        is_new = self.findings.add(found)
        if is_new:
            where = found.call or "instantiation"
            self.tell(f"new: {found.bucket}\n     {where}: expected {found.expected}, observed {found.observed}")
        return is_new

    def _reproduce(self, engine: Engine, item: Item, found: Finding, judgement: Judgement) -> None:
        """Write the script that shows a bucket, as small as it gets."""
        try:
            module, calls = reproducer(self.oracle, engine, item.module, judgement)
            judgement = judge(self.oracle, engine, e.module_encode(module), calls)
        except Died:
            return
        title = f"{found.bucket}\nobserved: {judgement.verdict.observed!r}"
        self.findings.write_script(found.bucket, script(module, judgement, title))
