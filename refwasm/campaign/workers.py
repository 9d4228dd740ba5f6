"""Who does the jobs of a campaign: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from refwasm.campaign.work import Batch, Job, closing, do
from refwasm.engines.protocol import Died, Failed, Unavailable

#: Seconds that a job may take, for each of its items and at least.
PER_ITEM, LEAST = 60.0, 300.0


class Workers(Protocol):
    """Does jobs."""

    def free(self) -> int:
        """How many jobs can be submitted now."""

    def submit(self, job: Job) -> None:
        """Begin a job."""

    def finished(self, timeout: float) -> Iterator[tuple[Job, Batch | Died]]:
        """The jobs that were done, waiting for one at most so many seconds; Died if its worker did not survive it."""

    def close(self) -> None:
        """End all workers."""


class _Process:
    """A process that does one job after the other."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.until = 0.0

    def begin(self, job: Job) -> None:
        self.job = job
        self.until = time.monotonic() + max(LEAST, PER_ITEM * (job.stop - job.start), 3 * job.seconds)
        self.connection.send(job)

    def end(self, patience: float = 0.0) -> None:
        """End it; one that has ``patience`` may put things in order first."""
        self.connection.close()
        self.process.join(patience)
        self.process.kill()
        self.process.join()


def _serve(connection: Connection) -> None:
    """Do jobs until nobody has any."""
    with suppress(EOFError, OSError, KeyboardInterrupt), closing():
        while True:
            job = connection.recv()
            try:
                result: Batch | Exception = do(job)
            except Exception as error:  # the campaign tells, and goes on
                result = error
            connection.send(result)


class Local:
    """Processes of this machine. One that dies, or takes too long, is replaced."""

    def __init__(self, jobs: int) -> None:
        self.processes = [_Process() for _ in range(jobs)]

    def free(self) -> int:
        return sum(process.job is None for process in self.processes)

    def submit(self, job: Job) -> None:
        next(process for process in self.processes if process.job is None).begin(job)

    def finished(self, timeout: float) -> Iterator[tuple[Job, Batch | Died]]:
        busy = {process.connection: process for process in self.processes if process.job is not None}
        ready = wait(list(busy), timeout)
        for connection, process in busy.items():
            if connection in ready:
                yield self._result(process)
            elif time.monotonic() > process.until:
                yield self._replaced(process, "it did not come back in time")

    def _result(self, process: _Process) -> tuple[Job, Batch | Died]:
        try:
            result: Any = process.connection.recv()
        except (EOFError, OSError):
            process.process.join()
            return self._replaced(process, f"its process ended (exit code {process.process.exitcode})")
        job, process.job = process.job, None
        assert job is not None
        if isinstance(result, Unavailable):
            raise result
        if isinstance(result, Exception):  # a fault of refwasm's: the item is kept, and the campaign goes on
            return job, Failed(f"{type(result).__name__}: {result}")
        return job, result

    def _replaced(self, process: _Process, reason: str) -> tuple[Job, Died]:
        assert process.job is not None
        process.end()
        self.processes[self.processes.index(process)] = _Process()
        return process.job, Died(reason)

    def close(self) -> None:
        for process in self.processes:
            process.end(patience=5.0 if process.job is None else 0.0)


class Cluster:
    """A Dask cluster (extra ``dask``), whose workers have refwasm and the engines. What a lost worker was doing is done
    by another one."""

    def __init__(self, address: str) -> None:
        try:
            self.distributed: Any = import_module("distributed")
        except ImportError:
            raise Unavailable("dask is not installed: pip install 'refwasm[dask]'") from None
        try:
            self.client: Any = self.distributed.Client(address, timeout=10)
        except (OSError, ValueError) as error:
            raise Unavailable(f"there is no scheduler at {address}: {error}") from None
        self.jobs: dict[Any, Job] = {}

    def free(self) -> int:
        threads: int = sum(self.client.nthreads().values())
        return max(2 * threads - len(self.jobs), 0)

    def submit(self, job: Job) -> None:
        # one at a time in a process: an engine is not shared between threads
        future = self.client.submit(_locked, job, pure=False)
        self.jobs[future] = job

    def finished(self, timeout: float) -> Iterator[tuple[Job, Batch | Died]]:
        if not self.jobs:
            time.sleep(timeout)
            return
        with suppress(TimeoutError):
            self.distributed.wait(list(self.jobs), timeout=timeout, return_when="FIRST_COMPLETED")
        for future in [future for future in self.jobs if future.done()]:
            job = self.jobs.pop(future)
            try:
                yield job, future.result()
            except Exception as error:
                if type(error).__name__ != "KilledWorker":
                    raise
                yield job, Died(str(error))

    def close(self) -> None:
        self.client.close()


def _locked(job: Job) -> Batch:
    """A job on a worker of the cluster, which may have several threads."""
    with _LOCK:
        return do(job)


_LOCK = threading.Lock()
