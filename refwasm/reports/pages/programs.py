"""Pages of runs and checks."""

from __future__ import annotations

import shlex

from refwasm.reports.documents.programs import Check, ParallelExecution, PolicyRun, Run
from refwasm.reports.pages import timeline
from refwasm.reports.pages.look import Html, Page, code, details, facts, join, listed, page, pre, table, tag, verdict


def run_page(run: Run) -> Page:
    """How a program ended, and what ran where."""
    good = run.ended in ("exit", "returned") and run.exit_code == 0
    word = {"exit": f"exit code {run.exit_code}", "returned": "returned"}.get(run.ended, run.ended)
    lead = join(("The run ended: ", verdict(good, word), f", after {run.seconds:.3f} seconds."))
    parts = [listed([("command", code(shlex.join(["refwasm", *run.command])))])]
    if run.message:
        parts += [tag("h2", "What was said"), pre(run.message)]
    if run.results:
        parts += [tag("h2", "Results"), pre("\n".join(run.results))]
    parts += _problems("Calls of wasi-parallel that failed", run.failures)
    parts += _problems("Races", run.races)
    if run.executions:
        parts += [tag("h2", "Parallel executions"), _executions(run), timeline.draw(run.executions)]
    for number, execution in enumerate(run.executions):
        parts += _problems(f"parallel_exec {number}: accesses that the kinds of buffers speak against",
                           execution.violations)  # fmt: skip
    return page(f"Run of {run.program}", lead, parts)


def _executions(run: Run) -> Html:
    heads = ("", "device", "iterations", "workers", "bytes copied", "ms", "ms in the kernel", "why not what was asked")
    rows = [
        (str(number), item.name, str(item.iterations), _workers(item), str(item.bytes_copied),
         f"{(item.end - item.begin) * 1e3:.2f}", f"{item.kernel_seconds * 1e3:.2f}", item.instead)
        for number, item in enumerate(run.executions)
    ]  # fmt: skip
    return table(heads, rows, (0, 2, 4, 5, 6))


def _workers(execution: ParallelExecution) -> str:
    shares: dict[int, int] = {}
    for block in execution.blocks:
        shares[block.worker] = shares.get(block.worker, 0) + block.iterations
    return ", ".join(f"{worker}: {count}" for worker, count in sorted(shares.items()))


def _problems(title: str, lines: list[str]) -> list[Html]:
    return [tag("h2", title), tag("article", pre("\n".join(lines)), kind="bad")] if lines else []


def check_page(check: Check) -> Page:
    """Whether a program is portable; if not, the two runs that show why."""
    good = check.verdict in ("portable", "memory")
    parts: list[str] = [
        facts([("runs", str(len(check.runs))),
               ("different outcomes", str(len({run.outcome for run in check.runs})))]),
        listed([("command", code(shlex.join(["refwasm", *check.command])))]),
    ]  # fmt: skip
    if (found := check.difference) is not None:
        chosen = [(c.name, code(c.first), code(c.second), c.rule) for c in found.choices]
        shared = ", ".join(f"{name}={value}" for name, value in found.shared.items())
        parts += [
            tag("h2", f"Two runs that differ: {found.aspect}"),
            tag("article", table(("choice", "first run", "second run", "left open by"), chosen),
                tag("p", "Both: ", code(shared)), pre("\n".join(found.lines)), kind="bad"),
        ]  # fmt: skip
    parts += _problems("Races", check.races)
    names = list(check.runs[0].policies) if check.runs else []
    rows = [
        (*(run.policies[name] for name in names), run.exit_code, str(run.outcome)) for run in check.runs
    ]  # fmt: skip
    parts += [
        tag("h2", "All runs"),
        tag("p", "Runs with the same outcome showed the same."),
        table((*names, "exit code", "outcome"), rows, (len(names), len(names) + 1)),
        *(_outcome(number, check.runs) for number in sorted({run.outcome for run in check.runs})),
    ]
    return page(f"Check of {check.program}", verdict(good, check.told), parts)


def _outcome(number: int, runs: list[PolicyRun]) -> Html:
    first = next(run for run in runs if run.outcome == number)
    count = sum(run.outcome == number for run in runs)
    return details(
        f"Outcome {number}, of {count} run{'s' * (count != 1)}",
        listed([("exit code", first.exit_code), ("error numbers", code(first.errors)),
                ("buffers", code(first.buffers)), ("memory", code(first.memory))]),
        pre(first.output),
    )  # fmt: skip
