"""The HTML report: rules against engines, and every failure with what is needed to look into it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from html import escape

from conformance.reports import Run, counts, grouped
from conformance.rules import Rule
from conformance.running import BAD, SKIP, Result

STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; width: 100% }
th, td { border: 1px solid #ccc; padding: .25rem .6rem; text-align: left; vertical-align: top }
td.good { background: #e2f4e2 } td.bad { background: #f9dcdc; font-weight: bold } td.none { color: #888 }
td.mark { white-space: nowrap; color: #666 } tr.chapter th { background: #eee }
article { border-left: 4px solid #c33; padding: .1rem 1rem; margin: 1.2rem 0; background: #fafafa }
pre { white-space: pre-wrap; background: #f0f0f0; padding: .5rem; overflow-wrap: anywhere }
"""
CHAPTERS = {
    "PAR-DEV": "Devices", "PAR-ARG": "Arguments and errors", "PAR-BUF": "Buffers", "PAR-MEM": "Memory of kernels",
    "PAR-KERN": "Kernels", "PAR-INST": "Instances", "PAR-EXEC": "Execution", "PAR-SHARE": "Sharing",
    "PAR-FORM": "Older forms",
}  # fmt: skip


def page(runs: Sequence[Run], rules: Sequence[Rule]) -> str:
    """The report of one or several engines."""
    engines = "".join(f"<th>{escape(run.engine)}<br><small>{escape(run.version)}</small></th>" for run in runs)
    totals = "".join(f"<li>{escape(run.engine)}: {escape(counts(run.results))}</li>" for run in runs)
    failures = "".join(_failure(run, result) for run in runs for result in run.bad)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>wasi-parallel conformance</title>'
        f"<style>{STYLE}</style>\n<h1>wasi-parallel conformance</h1>\n<ul>{totals}</ul>\n"
        f"<h2>Rules</h2>\n<p>Cases passed of cases run; hover for the names.</p>\n"
        f"<table><tr><th>rule</th><th>says</th><th>mark</th>{engines}</tr>\n{_rows(runs, rules)}</table>\n"
        f"<h2>Failures</h2>\n{failures or '<p>None.</p>'}\n</html>\n"
    )


def _rows(runs: Sequence[Run], rules: Sequence[Rule]) -> str:
    results = [grouped(run.results, lambda r: r.rules) for run in runs]
    known = {rule.name: rule for rule in rules}
    names = [*known, *sorted({name for groups in results for name in groups} - set(known))]
    rows, chapter = [], ""
    for name in names:
        if (here := name.rpartition("-")[0]) != chapter:
            chapter = here
            title = escape(CHAPTERS.get(chapter, chapter))
            rows.append(f'<tr class="chapter"><th colspan="{3 + len(runs)}">{title}</th></tr>\n')
        rule = known.get(name)
        cells = "".join(_cell(groups.get(name, [])) for groups in results)
        rows.append(
            f'<tr><td class="mark">{escape(name)}</td><td>{escape(rule.text if rule else "")}</td>'
            f'<td class="mark">{escape(rule.mark if rule else "")}</td>{cells}</tr>\n'
        )
    return "".join(rows)


def _cell(results: Sequence[Result]) -> str:
    ran = [result for result in results if result.status != SKIP]
    if not ran:
        return f'<td class="none">{"not run" if results else "no case"}</td>'
    wrong = [result.case for result in ran if result.status in BAD]
    title = escape("failed: " + ", ".join(wrong) if wrong else ", ".join(result.case for result in ran), quote=True)
    return f'<td class="{"bad" if wrong else "good"}" title="{title}">{len(ran) - len(wrong)}/{len(ran)}</td>'


def _failure(run: Run, result: Result) -> str:
    details = "".join(
        f"<p>{title}</p><pre>{escape(text)}</pre>"
        for title, text in (("Standard output", result.stdout), ("Standard error", result.stderr))
        if text
    )
    return (
        f"<article><h3>{escape(result.case)} <small>{escape(run.engine)}: {escape(result.status)}</small></h3>"
        f"<p>{escape(result.about)} ({escape(', '.join(result.rules))})</p>"
        f"<p>Expected {escape(result.expected)}; {escape(result.problem)}.</p>"
        f"<pre>$ {escape(shlex.join(result.argv))}</pre>{details}</article>\n"
    )
