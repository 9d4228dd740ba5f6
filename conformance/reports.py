"""Reports of a run: for the terminal, JSON, JUnit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from conformance.rules import Rule, by_chapter, read_rules
from conformance.running import BAD, FAIL, PASS, SKIP, Result
from refwasm.reports.documents import engines as documents
from refwasm.reports.documents import parse, text_of
from refwasm.reports.documents.engines import Case, Conformance


@dataclass(frozen=True)
class Run:
    """All results of one engine."""

    engine: str
    version: str
    results: Sequence[Result]

    @property
    def bad(self) -> list[Result]:
        return [result for result in self.results if result.status in BAD]


def counts(results: Sequence[Result]) -> str:
    """``12 pass, 1 fail``."""
    return ", ".join(f"{count} {status}" for status, count in Counter(r.status for r in results).most_common())


def grouped(results: Sequence[Result], key: Callable[[Result], Sequence[str]]) -> dict[str, list[Result]]:
    """Results by what the key gives, each under every one."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        for name in key(result):
            groups.setdefault(name, []).append(result)
    return dict(sorted(groups.items()))


def summary(run: Run) -> str:
    """What a person wants to know: failures first, then rules and chapters with their counts."""
    lines = [f"\n{run.engine} {run.version}"]
    for result in run.bad:
        lines += [
            f"\n{result.status}: {result.case}  ({' '.join(result.rules)})", f"  {result.about}",
            f"  expected {result.expected}", f"  {result.problem}", f"  $ {' '.join(result.argv)}",
        ]  # fmt: skip
        lines += [f"  | {line}" for line in result.stderr.strip().splitlines()[:8]]
    by_rule = grouped(run.results, lambda r: r.rules)
    lines.append("\nby rule:")
    for chapter, rules in by_chapter(list(by_rule)).items():
        marks = "  ".join(f"{rule.rpartition('-')[2]} {_mark(by_rule[rule])}" for rule in rules)
        lines.append(f"  {chapter:<10} {marks}")
    lines.append("\nby chapter of the suite:")
    for chapter, results in grouped(run.results, lambda r: [r.chapter]).items():
        lines.append(f"  {chapter:<10} {counts(results)}")
    lines.append(f"\n{len(run.results)} cases: {counts(run.results)}")
    return "\n".join(lines)


def _mark(results: Sequence[Result]) -> str:
    ran = [result for result in results if result.status != SKIP]
    good = sum(result.status not in BAD for result in ran)
    return "-" if not ran else str(good) if good == len(ran) else f"{good}/{len(ran)}!"


def document(run: Run, rules: Sequence[Rule]) -> Conformance:
    """Everything, as `refwasm report` takes it."""
    cases = [Case(**{**asdict(r), "rules": list(r.rules), "argv": list(r.argv)}) for r in run.results]
    return Conformance(run.engine, run.version, cases, [documents.Rule(r.name, r.mark, r.text) for r in rules])


def write_json(run: Run, path: Path) -> None:
    """Everything, as data; :func:`read_json` takes it back."""
    path.write_text(text_of(document(run, read_rules())), encoding="utf-8", errors="backslashreplace")


def read_json(path: Path) -> Conformance:
    """A run from a file of :func:`write_json`. ValueError: it is none."""
    found = parse(path.read_text(encoding="utf-8"))
    if not isinstance(found, Conformance):
        raise ValueError(f"{path}: no run of the conformance suite")
    return found


def write_junit(run: Run, path: Path) -> None:
    """JUnit's XML, which CI systems show."""
    suites = ElementTree.Element(
        "testsuites", _totals(run.results) | {"name": _printable(f"{run.engine} {run.version}")}
    )
    for chapter, results in grouped(run.results, lambda r: [r.chapter]).items():
        suite = ElementTree.SubElement(suites, "testsuite", _totals(results) | {"name": chapter})
        for result in results:
            case = ElementTree.SubElement(
                suite, "testcase", name=result.case, classname=f"wasi-parallel.{chapter}", time=f"{result.seconds:.3f}"
            )
            if result.status in BAD:
                failure = ElementTree.SubElement(case, "failure", message=_printable(result.problem))
                failure.text = _printable(f"{result.about}\nexpected {result.expected}\n{' '.join(result.argv)}")
            elif result.status == SKIP:
                ElementTree.SubElement(case, "skipped", message=_printable(result.problem))
    ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def _totals(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.status in BAD for result in results)),
        "skipped": str(sum(result.status == SKIP for result in results)),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _printable(text: str) -> str:
    """Without characters that XML can't hold."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


__all__ = ["FAIL", "PASS", "Run", "counts", "document", "grouped", "read_json", "summary", "write_json", "write_junit"]
