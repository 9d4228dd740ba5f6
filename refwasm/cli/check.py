"""Run a program under every policy that the rules of docs/semantics.md admit, and compare what can be observed: exit
code, output, error numbers, buffers, and memory afterwards. A portable program shows the same under all of them.

Clocks and random numbers are made deterministic. Exit codes: 0 nothing that the program shows differs, 1 something
does, 2 wrong usage."""

from __future__ import annotations

import argparse
import difflib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from refwasm.cli import EXIT_BAD, EXIT_CRASH, EXIT_LIMIT, UsageError, positive
from refwasm.cli.files import add_features, load_valid, parse_features
from refwasm.cli.reporting import add_json, write_document
from refwasm.cli.terminal import BAD, GOOD, Progress, say
from refwasm.host.parallel.demands import demanded
from refwasm.reports.documents import programs as documents

#: What is varied, the default first, and the rule that leaves it open.
CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "memory": (("auto", "copy", "copy-back"), "PAR-MEM-01"),
    "instance": (("fresh", "per-worker", "single"), "PAR-INST-01"),
    "grouping": (("guided", "one", "block", "whole"), "PAR-EXEC-03"),
    "order": (("ascending", "descending", "shuffle:1", "shuffle:2"), "PAR-EXEC-05"),
    "device": (("sequential", "cpu"), "PAR-DEV-02"),
    "workers": (("1", "2", "3"), "PAR-EXEC-04"),
}
#: What is compared, the most visible first.
ASPECTS = ("exit code", "output", "errors", "buffers", "memory")

#: What refwasm itself says on stderr; the rest is the program's.
_HOST_LINES = re.compile(rb"^(refwasm: |    at ).*\n?", re.MULTILINE)

Setting = tuple[str, ...]  # one value for each choice

#: How much of a difference is shown: lines, and columns of each.
MAX_LINES, WIDTH = 20, 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="PROGRAM", help=".wasm or .wat")
    parser.add_argument("args", nargs=argparse.REMAINDER, metavar="ARGS", help="for the program")
    parser.add_argument(
        "--jobs", type=positive(int), default=os.cpu_count() or 1, metavar="N", help="runs at the same time"
    )
    parser.add_argument(
        "--timeout", type=positive(float), default=60, metavar="SECONDS", help="for each run; default 60"
    )
    parser.add_argument("--ignore", default="", metavar="REGEX", help="leave this out of the output before comparing")
    parser.add_argument("--only", default="", metavar="NAMES", help=f"vary only these of {', '.join(CHOICES)}")
    parser.add_argument("--races", action="store_true", help="look for data races even if nothing differs")
    add_json(parser)
    add_features(parser)


@dataclass(frozen=True)
class Observation:
    """What one run showed, by aspect; ``unfit`` is what refwasm said if it could not run the program at all."""

    values: tuple[str, ...]
    unfit: str = ""

    def first_difference(self, other: Observation) -> str:
        """The most visible aspect that differs, or ""."""
        return next((aspect for aspect, a, b in zip(ASPECTS, self.values, other.values) if a != b), "")


def run(options: argparse.Namespace) -> int:
    """Run everything, then report."""
    demands = demanded(load_valid(options.file, parse_features(options.features)).module.customs)
    settings = list(_settings(_varied(options.only), demands))
    try:
        pattern = re.compile(os.fsencode(options.ignore)) if options.ignore else None
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--ignore {options.ignore}: {error}") from None
    stdin = b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()
    if len(settings) < 2:
        raise UsageError(f"--only {options.only}: there is nothing to compare")
    first = _observe(settings[0], options, stdin, pattern)
    if first.unfit:
        print(first.unfit, file=sys.stderr, end="")
        return EXIT_BAD
    with ThreadPoolExecutor(options.jobs) as pool:
        others = list(_counted(pool.map(lambda setting: _observe(setting, options, stdin, pattern), settings[1:]),
                               len(settings)))  # fmt: skip
        again = _observe(settings[0], options, stdin, pattern)
    observed = [first, *others]
    if unsteady := again.first_difference(observed[0]):
        told = f"{unsteady} differs between two runs with the same policies: nothing can be said about the others"
        print(told)
        write_document(
            options, documents.Check(options.file, options.args, options.words, "unsteady", told, [], None, [])
        )
        return EXIT_BAD
    found = compared(options, dict(zip(settings, observed)))
    for number, line in enumerate(told_lines(found)):
        say(line, "" if number else GOOD if found.difference is None else BAD)
    if found.difference is not None or options.races:
        found.races = _races(options, stdin)
        print("\n".join(found.races) or "no races in one execution")
    write_document(options, found)
    return EXIT_BAD if found.difference is not None or found.races else 0


def _counted(observations: Iterator[Observation], total: int) -> Iterator[Observation]:
    """The same, with a word on the terminal about how far they are."""
    progress = Progress("runs", total)
    for number, observation in enumerate(observations, 2):
        progress.show(number, "runs")
        yield observation
    progress.clear()


def _races(options: argparse.Namespace, stdin: bytes) -> list[str]:
    """The data races of one execution, as lines."""
    command = [
        sys.executable, "-m", "refwasm", "run", "--races", "--deterministic", "--timeout", str(options.timeout),
        "--features", options.features, "--", options.file, *options.args,
    ]  # fmt: skip
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    found: list[str] = []
    for line in lines:
        if line.startswith("refwasm: race "):
            found.append(line.removeprefix("refwasm: "))
        elif found and line.startswith("    "):
            found.append(line)
    return found


def _varied(names: str) -> set[str]:
    chosen = set(filter(None, names.split(","))) or set(CHOICES)
    if unknown := chosen - set(CHOICES):
        raise UsageError(f"--only {','.join(sorted(unknown))}: choose from {', '.join(CHOICES)}")
    return chosen


def _settings(varied: set[str], demands: Mapping[str, str]) -> Iterator[Setting]:
    """All combinations, one of each lot that has the same effect. What the program demands is not varied."""
    columns = [
        (demands[name],) if name in demands else values if name in varied else _fixed(name, varied)
        for name, (values, _) in CHOICES.items()
    ]
    yield from dict.fromkeys(_in_effect(*setting) for setting in itertools.product(*columns))


def _fixed(name: str, varied: set[str]) -> tuple[str, ...]:
    """The value of what is not varied: the default, unless what is varied would have no effect then."""
    if name == "device" and varied & {"workers", "grouping"}:
        return ("cpu",)
    if name == "workers" and varied & {"grouping", "device"}:
        return ("2",)
    return CHOICES[name][0][:1]


def _in_effect(memory: str, instance: str, grouping: str, order: str, device: str, workers: str) -> Setting:
    """The simplest setting that does the same."""
    if grouping == "whole" or instance == "single" or device == "sequential":
        workers = "1"
    if workers == "1":
        instance = "single" if instance == "per-worker" else instance
        grouping, order = ("guided", "ascending") if grouping == "whole" else (grouping, order)
        grouping = "block" if grouping == "block" and order != "ascending" else "guided"
    if device == "cpu":
        # One worker does what SEQUENTIAL does. With several, an order only decides who gets which iterations.
        order = "ascending" if workers == "1" or order in ("ascending", "descending") else "shuffle:1"
        grouping = "guided" if workers == "1" else grouping
    return memory, instance, grouping, order, device, workers


def _observe(
    setting: Setting, options: argparse.Namespace, stdin: bytes, ignore: re.Pattern[bytes] | None
) -> Observation:
    """One run, in a process of its own."""
    memory, instance, grouping, order, device, workers = setting
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "observed.json"
        policies = f"memory={memory},instance={instance},grouping={grouping},order={order}"
        command = [
            sys.executable, "-m", "refwasm", "run", "--deterministic", "--observe", str(report), "--device", device,
            "--workers", workers, "--timeout", str(options.timeout),
            "--policy", policies, "--features", options.features, "--", options.file, *options.args,
        ]  # fmt: skip
        done = subprocess.run(command, input=stdin, capture_output=True, check=False)
        ran = report.exists() and done.returncode not in (EXIT_LIMIT, EXIT_CRASH)
        left = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    shown = done.stdout + _HOST_LINES.sub(b"", done.stderr)
    output = ignore.sub(b"", shown) if ignore else shown
    return Observation(
        (
            str(done.returncode),
            output.decode("utf-8", "replace"),
            json.dumps(left.get("failures")),
            json.dumps(left.get("buffers")),
            str(left.get("memory")),
        ),
        "" if ran else done.stderr.decode("utf-8", "replace") or f"refwasm: exit code {done.returncode}\n",
    )


def compared(options: argparse.Namespace, observed: Mapping[Setting, Observation]) -> documents.Check:
    """Whether anything differs, and the two runs with the fewest differing policies that show it."""
    outcomes = {observation: number for number, observation in enumerate(dict.fromkeys(observed.values()))}
    runs = []
    for setting, observation in observed.items():
        code, output, errors, buffers, memory = observation.values
        policies = dict(zip(CHOICES, setting))
        runs.append(documents.PolicyRun(policies, code, output, errors, buffers, memory, outcomes[observation]))
    found = documents.Check(
        options.file, options.args, options.words, "portable", f"nothing differs in {len(observed)} runs", runs, None,
        [],
    )  # fmt: skip
    if len({observation.values[:-1] for observation in observed.values()}) == 1:
        if len(outcomes) > 1:
            found.verdict = "memory"
            found.told += " but what is left in memory, which the program does not show"
        return found
    found.verdict = "differs"
    found.difference = _closest(observed)
    aspect = found.difference.aspect
    found.told = f"{aspect} differs; {len(outcomes)} different outcomes in {len(observed)} runs"
    return found


def _closest(observed: Mapping[Setting, Observation]) -> documents.Difference:
    pairs = [
        (sum(x != y for x, y in zip(a, b)), ASPECTS.index(observed[a].first_difference(observed[b])), a, b)
        for a, b in itertools.combinations(observed, 2)
        if observed[a] != observed[b]
    ]
    _, rank, a, b = min(pairs, key=lambda pair: pair[:2])
    rows = list(zip(CHOICES.items(), a, b))
    chosen = [documents.Choice(name, x, y, rule) for (name, (_, rule)), x, y in rows if x != y]
    shared = {name: x for (name, _), x, y in rows if x == y}
    lines = difference(observed[a].values[rank], observed[b].values[rank])
    return documents.Difference(ASPECTS[rank], chosen, shared, lines)


def told_lines(found: documents.Check) -> Iterator[str]:
    """A check for people."""
    yield f"portable: {found.told}" if found.difference is None else found.told
    if found.difference is not None:
        for choice in found.difference.choices:
            values = f"{choice.name}={choice.first} or {choice.name}={choice.second}"
            yield f"  with {values} (left open by {choice.rule})"
        yield "  and " + ", ".join(f"{name}={value}" for name, value in found.difference.shared.items())
        yield from (f"  {line}" for line in found.difference.lines)


def difference(first: str, second: str) -> list[str]:
    """What differs between two texts: a line before, then those of the first with ``-`` and of the second with ``+``,
    each from a little before the first column that differs."""
    a, b = first.splitlines() or [""], second.splitlines() or [""]
    if len(a) == len(b) == 1 and a != b and max(len(a[0]), len(b[0])) <= WIDTH:
        return ["-" + a[0], "+" + b[0]]
    same = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    window = slice(max(same - 1, 0), same + MAX_LINES)
    lines = list(difflib.unified_diff(a[window], b[window], n=1, lineterm=""))[3:]
    if not lines:  # only the end of the last line
        return [f"-{a[-1][-WIDTH:]!r}", f"+{b[-1][-WIDTH:]!r} (one ends in a line feed)"]
    column = _column(a[same] if same < len(a) else "", b[same] if same < len(b) else "")
    start = max(column - WIDTH // 3, 0)
    shown = [line[0] + ("…" if start else "") + line[1 + start : 1 + start + WIDTH] for line in lines]
    return [f"line {same + 1}, column {column + 1}:", *shown[:MAX_LINES], *(["…"] if len(shown) > MAX_LINES else [])]


def _column(a: str, b: str) -> int:
    """How many characters two lines begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
