"""The report of a campaign: one page, one row for each bucket."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from refwasm.campaign.findings import Findings
from refwasm.campaign.run import Statistics

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>refwasm campaign</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 1px solid #8886; padding: .4rem .6rem; text-align: left; vertical-align: top; }}
code {{ font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }}
.count {{ text-align: right; }}
</style></head><body>
<h1>{count} buckets</h1>
<p>{statistics}</p>
<table><thead><tr><th>bucket</th><th class="count">seen</th><th>call</th><th>expected</th><th>observed</th>
<th>from</th></tr></thead><tbody>
{rows}
</tbody></table></body></html>
"""


def write_report(path: Path, findings: Findings, statistics: Statistics) -> None:
    """Write the page."""
    first: dict[str, dict[str, Any]] = {}
    for found in findings:
        first.setdefault(found["bucket"], found)
    page = _PAGE.format(
        count=len(first), statistics=escape(statistics.line(len(first))),
        rows="\n".join(_row(findings, found, findings.buckets[bucket]) for bucket, found in sorted(first.items())),
    )  # fmt: skip
    path.write_text(page, encoding="utf-8")


def _row(findings: Findings, found: dict[str, Any], count: int) -> str:
    cells: Iterable[str] = (found["call"] or "instantiation", found["expected"], found["observed"], found["item"])
    script = findings.script_of(found["bucket"]).name
    name = f'<a href="{script}">{escape(found["bucket"])}</a>'
    code = "".join(f"<td><code>{escape(str(cell))}</code></td>" for cell in cells)
    return f'<tr><td>{name}</td><td class="count">{count}</td>{code}</tr>'
