"""What a run of a program left behind, as a document: ``refwasm run --json FILE``."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refwasm.cli import described, exit_code
from refwasm.errors import Exit, ResourceLimit, Trap, UncaughtException, WasmError

if TYPE_CHECKING:
    from refwasm.concurrency.races import RaceDetector
    from refwasm.host.parallel import Context
    from refwasm.host.parallel.types import ExecutionRecord
    from refwasm.reports.documents.programs import ParallelExecution, Run


@dataclass
class Ending:
    """How a run ended: its exit code and the results of a function, or an error."""

    code: int = 0
    results: list[str] = field(default_factory=list)
    error: BaseException | None = None

    def kind(self, invoked: bool) -> str:
        """One word for it."""
        error = self.error
        if error is None or isinstance(error, Exit):
            return "returned" if invoked and error is None else "exit"
        kinds = {Trap: "trap", UncaughtException: "exception", ResourceLimit: "limit"}
        return next((word for kind, word in kinds.items() if isinstance(error, kind)), "error")

    def exit_code(self) -> int:
        """What the process ends with."""
        if isinstance(self.error, Exit):
            return self.error.code & 0xFF
        return exit_code(self.error) if isinstance(self.error, WasmError) else self.code


def run_document(
    options: argparse.Namespace, context: Context, ending: Ending, races: RaceDetector | None
) -> Run:  # fmt: skip
    """The document."""
    from refwasm.reports.documents.programs import Run  # most runs are not reported

    error = ending.error
    message = described(error) if isinstance(error, WasmError) and not isinstance(error, Exit) else ""
    origin = context.runs[0].begin if context.runs else 0.0
    return Run(
        options.file, list(options.args), options.words, ending.kind(options.invoke is not None), ending.exit_code(),
        message, ending.results, time.monotonic() - options.started,
        [_execution(record, origin) for record in context.runs],
        list(map(str, context.failures)), [str(race) for race in races.races] if races else [],
    )  # fmt: skip


def _execution(record: ExecutionRecord, origin: float) -> ParallelExecution:
    from refwasm.reports.documents.programs import Block, ParallelExecution

    blocks = [
        Block(block.worker, block.iterations, block.begin - origin, block.end - origin, block.iteration)
        for block in record.blocks
    ]  # fmt: skip
    return ParallelExecution(
        record.device.name, record.name, record.instead, record.iterations, record.bytes_copied,
        record.begin - origin, record.end - origin, record.kernel_seconds, blocks, list(map(str, record.violations)),
    )  # fmt: skip
