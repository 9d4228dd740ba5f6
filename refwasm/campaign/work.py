"""What a campaign's workers do: judge a range of a source's items, and reduce what differs. All of it can travel to
other processes and machines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from refwasm import embedding as e
from refwasm.campaign.findings import Finding, died, finding
from refwasm.campaign.reproducer import about, reproducer, script
from refwasm.campaign.source import THREADS, Item, Source
from refwasm.campaign.sources import source_of
from refwasm.concurrency.litmus.native import NativeEngine, native_engine
from refwasm.engines.catalogue import engine
from refwasm.engines.judging import Judgement, judge
from refwasm.engines.protocol import Died, Engine
from refwasm.oracle.case import Oracle
from refwasm.oracle.outcomes import AGREES, DIFFERS, UNDECIDED

#: Differences behind the first one that are looked for in an item.
BEHIND = 4
#: A verdict of the campaign's, besides those of the oracle.
DIED = "died"


class Judged(NamedTuple):
    """An engine to judge: its name, and the features that it has."""

    name: str
    features: frozenset[str]


class Work(NamedTuple):
    """The campaign as workers see it: the engines, the source with its features and seed, and the oracle's features."""

    engines: tuple[Judged, ...]
    source: str
    source_features: frozenset[str]
    seed: int
    features: frozenset[str]


class Job(NamedTuple):
    """A piece of work: the items with these numbers; or, with ``reduce``, the one item whose finding is to be reduced
    for the named engine, in so many seconds, without calls of some functions. ``whole`` is the range that this is a
    piece of, if the worker that had all of it died."""

    work: Work
    start: int
    stop: int
    reduce: str = ""
    seconds: float = 0.0
    without: frozenset[str] = frozenset()
    whole: tuple[int, int] | None = None


class Record(NamedTuple):
    """What came of an item on an engine (``engine`` is its name in the work): the verdict, how many calls were made and
    returned in the oracle, and the finding if there is one. Others behind it are found once calls of its functions are
    left out: the records of these have the names ``without``."""

    number: int
    engine: str
    verdict: str
    calls: int = 0
    returned: int = 0
    finding: Finding | None = None
    without: frozenset[str] = frozenset()


class Batch(NamedTuple):
    """What came of a job: a record for each item and engine; the instructions that were reached, by name, and how many
    of how many; or the script that shows a finding, and the finding as it is once reduced."""

    records: tuple[Record, ...] = ()
    reached: frozenset[str] = frozenset()
    instructions: tuple[int, int] = (0, 0)
    script: str = ""
    finding: Finding | None = None


class Worker:
    """Engines, oracle and source of one work, made once in a process."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.oracle = Oracle(work.features)
        self.source: Source = source_of(work.source, work.source_features, work.seed)
        self.engines: dict[str, Engine] = {}
        self.natives: dict[str, NativeEngine] = {}

    def do(self, job: Job) -> Batch:
        """Do a job."""
        if self.work.source == THREADS:
            return self._parallel(job)
        if job.reduce:
            return self._reduced(job)
        records, reached, count, whole = [], set(), 0, 0
        for number, item in self.source.items(job.start, job.stop):
            for judged in self.work.engines:
                record, judgement = self._record(number, item, judged)
                records += [record, *self._behind(number, item, judged, record, judgement)]
                if judgement is not None and judgement.case is not None:
                    names, got, of = judgement.case.reached()
                    reached |= names
                    count, whole = count + got, whole + of
        return Batch(tuple(records), frozenset(reached), (count, whole))

    def _parallel(self, job: Job) -> Batch:
        """Parallel programs are run on engines with real threads."""
        from refwasm.campaign import parallel  # Hypothesis and the memory model are slow to import

        records = []
        for number, test in parallel.programs(self.work.seed, job.start, job.stop):
            if job.reduce:
                made = parallel.reduced(test, self._native(job.reduce), job.seconds)
                if made is None or made[1].finding is None:
                    return Batch()
                found = made[1].finding._replace(name=job.reduce)
                return Batch(script=parallel.script(made[0], found), finding=found)
            for judged in self.work.engines:
                came = parallel.judge(test, self._native(judged.name))
                found_here = came.finding and came.finding._replace(name=judged.name)
                records.append(Record(number, judged.name, came.verdict, came.runs, came.runs, found_here))
        return Batch(tuple(records))

    def _native(self, name: str) -> NativeEngine:
        if name not in self.natives:
            self.natives[name] = native_engine(name)
        return self.natives[name]

    def engine(self, judged: Judged) -> Engine:
        """The engine of that name."""
        if judged.name not in self.engines:
            self.engines[judged.name] = engine(judged.name, features=judged.features)
        return self.engines[judged.name]

    def _record(self, number: int, item: Item, judged: Judged) -> tuple[Record, Judgement | None]:
        made = self.engine(judged)
        try:
            judgement = judge(self.oracle, made, item.module, item.calls, item.seed)
        except Died as error:
            return Record(number, judged.name, DIED, finding=died(_title(made), item, str(error))), None
        kind = judgement.verdict.kind
        found = finding(judgement, _title(made), item)._replace(name=judged.name) if kind == DIFFERS else None
        return Record(number, judged.name, kind, judgement.calls, judgement.returned, found), judgement

    def _behind(
        self, number: int, item: Item, judged: Judged, record: Record, judgement: Judgement | None
    ) -> list[Record]:
        """What else differs in an item whose calls are given, when functions that did are not called."""
        found: list[Record] = []
        without: frozenset[str] = frozenset()
        while item.calls is not None and record.verdict == DIFFERS and judgement is not None and judgement.made:
            without |= {judgement.made[-1].name}
            calls = [call for call in item.calls if call[0] not in without]
            if len(found) == BEHIND or not calls:
                break
            record, judgement = self._record(number, item._replace(calls=calls), judged)
            if record.verdict != DIFFERS:
                break
            found.append(record._replace(without=without, calls=0, returned=0))
        return found

    def _reduced(self, job: Job) -> Batch:
        """The finding of an item as small as it gets in the time; nothing if it does not show again."""
        until = time.monotonic() + job.seconds
        made = self.engine(next(judged for judged in self.work.engines if judged.name == job.reduce))
        for _, item in self.source.items(job.start, job.stop):
            calls = item.calls and [call for call in item.calls if call[0] not in job.without]
            try:
                judgement = judge(self.oracle, made, item.module, calls, item.seed)
                if judgement.verdict.kind != DIFFERS:
                    return Batch()
                before = finding(judgement, _title(made), item).bucket
                module, left = reproducer(self.oracle, made, item.module, judgement, until)
                binary = e.module_encode(module)
                judgement = judge(self.oracle, made, binary, left)
            except Died:
                return Batch()
            if judgement.verdict.kind != DIFFERS:
                return Batch()
            found = finding(judgement, _title(made), item._replace(module=binary, kind=about(module, item.kind)))
            of = before if before != found.bucket else ""
            title = f"{found.bucket}\nobserved: {judgement.verdict.observed!r}"
            return Batch(script=script(module, judgement, title), finding=found._replace(of=of, name=job.reduce))
        return Batch()

    def close(self) -> None:
        """End the engines, and what the source has begun."""
        for made in self.engines.values():
            made.close()
        for native in self.natives.values():
            native.close()
        self.source.close()


def _title(made: Engine) -> str:
    return f"{made.name} {made.version}"


_worker: Worker | None = None


def do(job: Job) -> Batch:
    """Do a job in this process, whose worker stays for the next one."""
    global _worker
    if _worker is None or _worker.work != job.work:
        if _worker is not None:
            _worker.close()
        _worker = Worker(job.work)
    return _worker.do(job)


@contextmanager
def closing() -> Iterator[None]:
    """Ends this process's worker afterwards."""
    global _worker
    try:
        yield
    finally:
        if _worker is not None:
            _worker.close()
            _worker = None


__all__ = [
    "AGREES",
    "DIED",
    "DIFFERS",
    "UNDECIDED",
    "Batch",
    "Job",
    "Judged",
    "Record",
    "Work",
    "Worker",
    "closing",
    "do",
]
