"""Pages of engines that were judged: campaigns, the conformance suite, one module, scripts."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from refwasm.reports.documents.engines import Bucket, Campaign, Case, Conformance, Judgement, Scripts
from refwasm.reports.pages.look import (
    Html,
    Page,
    code,
    details,
    facts,
    join,
    listed,
    page,
    pre,
    prose,
    table,
    tag,
    verdict,
)

#: Statuses of cases that make a conformance run fail, and of those that did not run.
BAD, SKIP = ("fail", "unexpected pass"), "skip"
CHAPTERS = {
    "PAR-DEV": "Devices", "PAR-ARG": "Arguments and errors", "PAR-BUF": "Buffers", "PAR-MEM": "Memory of kernels",
    "PAR-KERN": "Kernels", "PAR-INST": "Instances", "PAR-EXEC": "Execution", "PAR-SHARE": "Sharing",
    "PAR-FORM": "Older forms", "PAR-DEMAND": "Demands of programs",
}  # fmt: skip


# ---- campaigns ------------------------------------------------------------------------------------------------------


def campaign_page(campaign: Campaign) -> Page:
    """What engines do differently, one article for each bucket."""
    count = len(campaign.buckets)
    columns = list(next(iter(campaign.verdicts.values()), {}))
    rows = [
        (name, *(str(counts[column]) for column in columns)) for name, counts in sorted(campaign.verdicts.items())
    ]  # fmt: skip
    lead = f"Modules of the source {campaign.source}, from seed {campaign.seed}."
    figures = [
        ("calls", str(campaign.calls)),
        ("returned in the oracle", _percent(campaign.returned, campaign.calls)),
        ("of all instructions reached", _percent(campaign.executed, campaign.instructions)),
        ("kinds of instructions reached", f"{len(campaign.reached)} of {campaign.kinds}"),
        ("seconds", f"{campaign.seconds:.0f}"),
    ]
    return page(
        f"Campaign: {count} bucket{'s' * (count != 1)}", lead, facts(figures),
        table(("engine", *columns), rows, range(1, len(columns) + 1)),
        tag("h2", "Buckets") if count else tag("p", verdict(True, "Nothing differs.")), map(_bucket, campaign.buckets),
    )  # fmt: skip


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.0f} %"


def _bucket(bucket: Bucket) -> Html:
    items = [
        ("call", code(bucket.call or "instantiation")),
        ("expected", code(bucket.expected, "right")),
        ("observed", code(bucket.observed, "wrong")),
        ("rule", tag("a", bucket.rule, href=bucket.address)),
        ("seen", f"{bucket.seen} times, first in {bucket.item}"),
        ("repeat", code(bucket.repeat)),
    ]
    script = details(bucket.file, pre(bucket.script)) if bucket.script else ""
    return tag("article", tag("h3", bucket.bucket), listed(items), script, kind="bad")


# ---- the conformance suite ------------------------------------------------------------------------------------------


def conformance_page(runs: Sequence[Conformance]) -> Page:
    """Rules against engines, and every failure with what is needed to look into it."""
    bad = [(run, case) for run in runs for case in run.results if case.status in BAD]
    totals = [
        tag("li", f"{run.engine} {run.version}: ", verdict(not any(c.status in BAD for c in run.results), _counts(run)))
        for run in runs
    ]
    return page(
        "wasi-parallel conformance", tag("span", "Cases that passed, of those that ran, for each rule."),
        tag("ul", totals), tag("h2", "Rules"), _rules(runs), tag("h2", "Failures"),
        [_case(run, case) for run, case in bad] or tag("p", verdict(True, "None.")),
    )  # fmt: skip


def _counts(run: Conformance) -> str:
    counted = Counter(case.status for case in run.results)
    return ", ".join(f"{count} {status}" for status, count in counted.most_common())


def _rules(runs: Sequence[Conformance]) -> Html:
    known = {rule.name: rule for run in runs for rule in run.rules}
    used = {name for run in runs for case in run.results for name in case.rules}
    rows, chapter = [], ""
    for name in [*known, *sorted(used - set(known))]:
        if (here := name.rpartition("-")[0]) != chapter:
            chapter = here
            title = tag("th", CHAPTERS.get(chapter, chapter), colspan=3 + len(runs), scope="colgroup")
            rows.append(tag("tr", title, kind="chapter"))
        text, mark = (known[name].text, known[name].mark) if name in known else ("", "")
        cells = [_cell([case for case in run.results if name in case.rules]) for run in runs]
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", prose(text)), tag("td", mark), cells))
    heads = ["rule", "says", "mark", *(f"{run.engine} {run.version}" for run in runs)]
    head = tag("thead", tag("tr", [tag("th", text, scope="col") for text in heads]))
    return tag("div", tag("table", head, tag("tbody", rows)), kind="wide", tabindex="0")


def _cell(cases: Sequence[Case]) -> Html:
    ran = [case for case in cases if case.status != SKIP]
    if not ran:
        return tag("td", "not run" if cases else "no case", kind="soft")
    wrong = [case.case for case in ran if case.status in BAD]
    title = "failed: " + ", ".join(wrong) if wrong else ", ".join(case.case for case in ran)
    return tag("td", verdict(not wrong, f"{len(ran) - len(wrong)}/{len(ran)}"), title=title, kind="number")


def _case(run: Conformance, case: Case) -> Html:
    outputs = [
        join((tag("p", title), pre(text)))
        for title, text in (("Standard output", case.stdout), ("Standard error", case.stderr))
        if text
    ]
    return tag(
        "article", tag("h3", case.case, " ", tag("small", f"{run.engine}: {case.status}")),
        tag("p", prose(case.about), f" ({', '.join(case.rules)})"),
        tag("p", f"Expected {case.expected}; {case.problem}."), pre("$ " + shlex.join(case.argv)), outputs, kind="bad",
    )  # fmt: skip


# ---- one module, scripts --------------------------------------------------------------------------------------------


def judgement_page(found: Judgement) -> Page:
    """The verdict on an engine."""
    items = [
        ("module", found.module), ("call", code(found.call)), ("where", found.where), ("reason", found.reason),
        ("expected", code(found.expected, "right")), ("observed", code(found.observed, "wrong")),
        ("calls", f"{found.calls}, {found.returned} of them returned in the oracle"),
    ]  # fmt: skip
    return page(f"{found.engine} and the oracle", verdict(found.verdict == "agrees", found.verdict), listed(items))


def scripts_page(found: Scripts) -> Page:
    """Scripts of the official suite's format."""
    failed = [file for file in found.files if not file.ok]
    lead = join((
        f"{len(found.files)} files in {found.seconds:.1f} seconds; ", verdict(not failed, f"{len(failed)} failed"), ".",
    ))  # fmt: skip
    rows = [
        (file.file, verdict(file.ok, file.status), str(sum(file.commands.values())), str(len(file.failures)),
         file.reason)
        for file in found.files
    ]  # fmt: skip
    articles = [
        tag("article", tag("h3", file.file), pre("\n".join(f"{f.location}: {f.message}" for f in file.failures)),
            kind="bad")
        for file in failed
    ]  # fmt: skip
    return page("Scripts", lead, articles, table(("file", "", "commands", "failures", ""), rows, (2, 3)))
