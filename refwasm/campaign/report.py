"""The report of a campaign: one page, one row for each bucket; and the same as JSON."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from refwasm.campaign.findings import Findings
from refwasm.campaign.rules import rule
from refwasm.campaign.source import THREADS
from refwasm.campaign.statistics import VERDICTS, Statistics
from refwasm.campaign.work import Work
from refwasm.syntax.instructions import FORMS

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>refwasm campaign: {count} buckets</title><style>
:root {{ color-scheme: light dark; --line: #8884; --soft: #8881; --wrong: #d33; --right: #293; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .4rem .6rem; text-align: left; vertical-align: top; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
article {{ border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }}
article h2 {{ font-size: 1.05rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }}
dt {{ opacity: .7; }} dd {{ margin: 0; min-width: 0; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
code, pre {{ font: 13px/1.45 ui-monospace, monospace; }}
pre {{ background: var(--soft); border-radius: .3rem; overflow: auto; padding: .6rem; }}
.expected {{ color: var(--right); }} .observed {{ color: var(--wrong); }}
@media (max-width: 40rem) {{ dl {{ grid-template-columns: 1fr; }} dt {{ margin-top: .4rem; }} }}
</style></head><body>
<h1>{count} buckets</h1>
<p>{summary}</p>
<div class="wide"><table><thead><tr><th>engine</th>{heads}</tr></thead><tbody>{engines}</tbody></table></div>
{articles}
</body></html>
"""


def write_report(path: Path, findings: Findings, statistics: Statistics, work: Work) -> None:
    """Write the page."""
    first = findings.shown()
    page = _PAGE.format(
        count=len(first), summary=escape(_summary(statistics, work)),
        heads="".join(f'<th class="number">{verdict}</th>' for verdict in VERDICTS),
        engines="\n".join(_engine(name, counts) for name, counts in sorted(statistics.verdicts.items())),
        articles="\n".join(_article(findings, found) for _, found in sorted(first.items())),
    )  # fmt: skip
    path.write_text(page, encoding="utf-8")


def write_json(path: Path, findings: Findings, statistics: Statistics) -> None:
    """Write the same as JSON."""
    first = findings.shown()
    buckets = [
        {
            **{name: found[name] for name in ("bucket", "engine", "kind", "item", "call", "expected", "observed")},
            "seen": findings.buckets[bucket], "rule": rule(found["kind"])[0], "script": _script(findings, bucket),
        }
        for bucket, found in sorted(first.items())
    ]  # fmt: skip
    path.write_text(json.dumps({"statistics": statistics.state(), "buckets": buckets}, indent=1), encoding="utf-8")


def _script(findings: Findings, bucket: str) -> str | None:
    path = findings.script_of(bucket)
    return path.read_text(encoding="utf-8") if path.exists() else None


def _summary(statistics: Statistics, work: Work) -> str:
    share = 100 * statistics.returned / max(statistics.calls, 1)
    executed = 100 * statistics.executed / max(statistics.instructions, 1)
    return (
        f"Source {work.source} from seed {work.seed}: {statistics.calls} calls, {share:.0f} % of which returned in the "
        f"oracle (the others trapped, threw or reached a limit); {executed:.0f} % of {statistics.instructions} "
        f"instructions were reached, {len(statistics.reached)} of {len(FORMS)} kinds; "
        f"{statistics.seconds:.0f} seconds."
    )


def _engine(name: str, counts: dict[str, int]) -> str:
    cells = "".join(f'<td class="number">{counts[verdict]}</td>' for verdict in VERDICTS)
    return f"<tr><td>{escape(name)}</td>{cells}</tr>"


def _article(findings: Findings, found: dict[str, Any]) -> str:
    bucket = found["bucket"]
    title, address = rule(found["kind"])
    script, file = _script(findings, bucket), findings.script_of(bucket).name
    rows = [
        ("call", f"<code>{escape(found['call'] or 'instantiation')}</code>"),
        ("expected", f'<code class="expected">{escape(found["expected"])}</code>'),
        ("observed", f'<code class="observed">{escape(found["observed"])}</code>'),
        ("rule", f'<a href="{address}">{escape(title)}</a>'),
        ("seen", f"{findings.buckets[bucket]} times, first in {escape(found['item'])}"),
    ]
    if script is not None:
        how = "litmus" if found["kind"] == THREADS else "diff"
        repeat = f"refwasm {how} {file} --engine {found['name']}" if found.get("name") else f"refwasm wast {file}"
        rows.append(("repeat", f"<code>{escape(repeat)}</code>"))
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    shown = f"<details><summary>{escape(file)}</summary><pre>{escape(script)}</pre></details>" if script else ""
    return f"<article><h2>{escape(bucket)}</h2><dl>{listed}</dl>{shown}</article>"
