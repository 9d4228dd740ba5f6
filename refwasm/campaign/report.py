"""The report of a campaign as a document: one entry for each bucket."""

from __future__ import annotations

from typing import Any

from refwasm.campaign.findings import Findings
from refwasm.campaign.rules import rule
from refwasm.campaign.source import THREADS
from refwasm.campaign.statistics import Statistics
from refwasm.campaign.work import Work
from refwasm.reports.documents.engines import Bucket, Campaign
from refwasm.syntax.instructions import FORMS


def document(findings: Findings, statistics: Statistics, work: Work) -> Campaign:
    """All that was found, and what was done for it."""
    buckets = [_bucket(findings, found) for _, found in sorted(findings.shown().items())]
    return Campaign(
        work.source, work.seed, statistics.seconds, statistics.calls, statistics.returned, statistics.instructions,
        statistics.executed, sorted(statistics.reached), len(FORMS), statistics.verdicts, buckets,
    )  # fmt: skip


def _bucket(findings: Findings, found: dict[str, Any]) -> Bucket:
    path = findings.script_of(found["bucket"])
    script = path.read_text(encoding="utf-8") if path.exists() else ""
    title, address = rule(found["kind"])
    how = "litmus" if found["kind"] == THREADS else "diff"
    repeat = f"refwasm {how} {path.name} --engine {found['name']}" if found.get("name") else f"refwasm wast {path.name}"
    return Bucket(
        found["bucket"], found["engine"], found["kind"], found["item"], found["call"] or "", found["expected"],
        found["observed"], findings.buckets[found["bucket"]], title, address, path.name, script,
        repeat if script else "",
    )  # fmt: skip
