"""A time line of a run as SVG: a lane for each worker, a bar for the iterations that it ran one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refwasm.reports.documents.programs import ParallelExecution
from refwasm.reports.pages.look import Html, tag

#: Pixels: the bars' room, the names' room, a lane, a bar.
WIDTH, LEFT, LANE, HEIGHT = 900, 100, 30, 20
#: Bars that a picture shows at most; beyond that they would be thinner than a pixel.
BARS = 2_000


def draw(executions: Sequence[ParallelExecution]) -> Html:
    """The picture."""
    workers = sorted({block.worker for execution in executions for block in execution.blocks})
    if not workers:
        return Html("")
    begin = min(execution.begin for execution in executions)
    end = max(execution.end for execution in executions)
    scale = WIDTH / ((end - begin) or 1.0)
    height = 24 + LANE * len(workers) + 24
    names = [
        tag("text", f"worker {worker}", x=0, y=24 + LANE * row + 15, kind="lane") for row, worker in enumerate(workers)
    ]
    bars = list(_bars(executions, workers, begin, scale))[:BARS]
    axis = [
        tag("text", f"{(end - begin) * 1e3 * part / 4:.4g} ms", x=LEFT + WIDTH * part // 4, y=height - 6,
            text_anchor="end" if part == 4 else "start" if part == 0 else "middle")
        for part in range(5)
    ]  # fmt: skip
    return tag(
        "div",
        tag("svg", names, bars, axis, kind="timeline", role="img", aria_label="time line of the iterations",
            viewBox=f"0 0 {LEFT + WIDTH + 10} {height}", width=LEFT + WIDTH + 10, height=height, xmlns="http://www.w3.org/2000/svg"),
        kind="wide", tabindex="0",
    )  # fmt: skip


def _bars(
    executions: Sequence[ParallelExecution], workers: Sequence[int], begin: float, scale: float
) -> Iterator[Html]:  # fmt: skip
    for number, execution in enumerate(executions):
        for block in execution.blocks:
            count = f"{block.iterations} iteration{'s' * (block.iterations != 1)}"
            count = count if block.iteration is None else f"iteration {block.iteration}"
            told = f"parallel_exec {number}: {count}, {(block.end - block.begin) * 1e3:.3f} ms"
            yield tag(
                "rect", tag("title", told), x=f"{LEFT + (block.begin - begin) * scale:.2f}",
                y=24 + LANE * workers.index(block.worker),
                width=f"{max((block.end - block.begin) * scale, 1.0):.2f}", height=HEIGHT,
            )  # fmt: skip
