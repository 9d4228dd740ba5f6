"""The loop of a campaign: ranges of items to workers, what comes back into statistics, buckets and scripts."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from refwasm.campaign.findings import Finding, Findings
from refwasm.campaign.source import GENERATED
from refwasm.campaign.statistics import Statistics
from refwasm.campaign.work import DIED, Batch, Job, Record, Work
from refwasm.campaign.workers import Workers
from refwasm.engines.protocol import Died

#: Seconds between two reports, and that reducing one finding may take.
INTERVAL, REDUCE = 10.0, 60.0
#: Findings of one bucket that are reduced, of generated modules and of others: it may hold several faults.
REDUCED_GENERATED, REDUCED = 20, 4
#: Items of one job.
BATCH = 50


class Campaign:
    """Work, workers, and a folder for what is found. Started again on the same folder, it goes on with what was not
    finished."""

    def __init__(
        self, work: Work, count: int | None, workers: Workers, folder: Path, tell: Callable[[str], object],
        batch: int = BATCH, reduce: float = REDUCE,
    ) -> None:  # fmt: skip
        self.work, self.count, self.workers, self.tell = work, count, workers, tell
        self.batch, self.reduce = batch, reduce
        self.findings = Findings(folder)
        self.identity = {"source": work.source, "seed": work.seed, "engines": [judged.name for judged in work.engines]}
        state = self.findings.load(**self.identity)
        self.statistics = Statistics()
        self.done: dict[int, int] = {}  # beginnings and ends of finished ranges, beyond the first open one
        self.first = 0  # all items below it are done
        with suppress(TypeError, ValueError, KeyError):  # of another version, or not ours: from the beginning
            if state:
                statistics, beyond = Statistics.from_state(state), {int(a): int(b) for a, b in state["beyond"]}
                self.statistics, self.done, self.first = statistics, beyond, int(state["done"])
        self.pieces: Counter[tuple[int, int]] = Counter()  # of ranges whose worker died: how many are left
        self.urgent: deque[Job] = deque()  # pieces of a range whose worker died
        self.reductions: deque[tuple[str, Job]] = deque()  # with the bucket that each is for
        self.reduced: set[str] = set()  # buckets with a finding that was reduced, or is
        self.reduced_last = False

    def run(self, seconds: float | None = None, most: int | None = None) -> Statistics:
        """Judge items until there are no more, ``most`` are done, or time is up."""
        began = told = time.monotonic()
        before = self.statistics.seconds
        ranges = self._ranges(most)
        is_over = False
        active = 0
        while True:
            is_over = is_over or (seconds is not None and time.monotonic() - began > seconds)
            for job in self._jobs(ranges, is_over):
                self.workers.submit(job)
                active += 1
            if not active:
                break
            for job, result in self.workers.finished(INTERVAL):
                active -= 1
                self._take(job, result)
            self.statistics.seconds = before + time.monotonic() - began
            if time.monotonic() - told > INTERVAL:
                told = time.monotonic()
                self._save()
                self.tell(self.statistics.line(len(self.findings.shown())))
        self._save()
        return self.statistics

    def _ranges(self, most: int | None) -> Iterator[Job]:
        """The jobs that were not done before."""
        start, end = self.first, self.count if most is None else min(most, self.count or most)
        done = dict(self.done)
        while end is None or start < end:
            if start in done:
                start = done[start]
                continue
            stop = min(
                [start + self.batch, *(begin for begin in done if begin > start), *([] if end is None else [end])]
            )
            yield Job(self.work, start, stop)
            start = stop

    def _jobs(self, ranges: Iterator[Job], is_over: bool) -> Iterator[Job]:
        """As many jobs as workers are free: what is urgent first, then reductions and ranges in turns."""
        for _ in range(self.workers.free()):
            job = self.urgent.popleft() if self.urgent else None
            if job is None and (is_over or not self.reduced_last):
                job = self._reduction(is_over)
            self.reduced_last = job is not None
            if job is None and not is_over:
                job = next(ranges, None) or self._reduction(True)
            if job is None:
                return
            yield job

    def _reduction(self, is_over: bool) -> Job | None:
        """The next finding to reduce; at the end only one for each bucket."""
        while self.reductions:
            bucket, job = self.reductions.popleft()
            if not is_over or bucket not in self.reduced:
                self.reduced.add(bucket)
                return job
        return None

    def _take(self, job: Job, result: Batch | Died) -> None:
        if job.reduce:
            if isinstance(result, Batch) and result.finding is not None:
                self._keep_reduced(result.finding, result.script)
            return
        if isinstance(result, Died):
            self._divide(job, result)
            return
        self.statistics.take(result)
        for record in result.records:
            self._keep(job, record)
        self._finish(job)

    def _divide(self, job: Job, reason: Died) -> None:
        """A worker died: find out of which item, on which engine."""
        if job.stop - job.start > 1 or len(job.work.engines) > 1:
            engines = [job.work._replace(engines=(judged,)) for judged in job.work.engines]
            whole = (job.start, job.stop)
            made = [Job(work, n, n + 1, whole=whole) for n in range(job.start, job.stop) for work in engines]
            self.pieces[whole] = len(made)
            self.urgent.extend(made)
            return
        name = job.work.engines[0].name
        finding = self.findings.of_a_death(name, f"{self.work.source} {job.start}", reason)
        self._keep(job, Record(job.start, name, DIED, finding=finding))
        self.statistics.take(Batch((Record(job.start, name, DIED),)))
        self._finish(job)

    def _keep(self, job: Job, record: Record) -> None:
        """Keep a finding, and have it reduced if it is one of the first of its bucket."""
        found = record.finding
        if found is None:
            return
        if self.findings.add(found):
            self._tell(found)
        most = REDUCED_GENERATED if found.kind == GENERATED else REDUCED
        if self.findings.buckets[found.bucket] <= most and record.verdict != DIED and self.reduce:
            reduction = Job(job.work, record.number, record.number + 1, record.engine, self.reduce, record.without)
            self.reductions.append((found.bucket, reduction))

    def _keep_reduced(self, found: Finding, script: str) -> None:
        """Keep the script of a finding; and the finding, if it is in another bucket now."""
        if found.of:
            self.findings.divide(found.of)
            if self.findings.add(found):
                self._tell(found)
        if not self.findings.script_of(found.bucket).exists():
            self.findings.write_script(script)

    def _tell(self, found: Finding) -> None:
        where = found.call or "instantiation"
        self.tell(f"new: {found.bucket}\n     {where}: expected {found.expected}, observed {found.observed}")

    def _finish(self, job: Job) -> None:
        """A range is done, when all its pieces are if it was divided."""
        start, stop = job.whole or (job.start, job.stop)
        if job.whole is not None:
            self.pieces[job.whole] -= 1
            if self.pieces[job.whole]:
                return
        self.done[start] = stop
        while self.first in self.done:
            self.first = self.done.pop(self.first)

    def _save(self) -> None:
        self.findings.save({
            **self.statistics.state(), **self.identity, "done": self.first, "beyond": sorted(self.done.items()),
        })  # fmt: skip
