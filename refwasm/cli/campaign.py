"""Judge engines on many modules, and keep what differs, in buckets. Started again with the same --out it goes on.

Exit codes: 0 nothing differs, 1 something does, 2 wrong usage."""

from __future__ import annotations

import argparse
from pathlib import Path

from refwasm.campaign.report import document
from refwasm.campaign.run import BATCH, REDUCE, Campaign
from refwasm.campaign.source import THREADS
from refwasm.campaign.sources import SOURCES, source_of
from refwasm.campaign.work import Judged, Work
from refwasm.campaign.workers import Cluster, Local, Workers
from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.files import add_features, parse_features
from refwasm.concurrency.litmus.native import EngineFailed, native_engine
from refwasm.engines.catalogue import engine
from refwasm.engines.protocol import Died, Unavailable
from refwasm.reports.documents import text_of
from refwasm.reports.pages import render

_UNITS = {"s": 1, "m": 60, "h": 3600}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", required=True, metavar="NAMES", help="separated by commas; NAME or NAME==VERSION")
    told = "; ".join(f"{name}: {what}" for name, what in SOURCES.items())
    parser.add_argument("--source", default="singles", metavar="SOURCE", help=told)
    parser.add_argument("--time", type=seconds, metavar="TIME", help="stop after that time: seconds, or 10m, 1h")
    parser.add_argument("--modules", type=positive(int), metavar="N", help="stop after so many modules of the source")
    parser.add_argument("--jobs", type=positive(int), default=1, metavar="N", help="processes")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that does the work, tcp://HOST:PORT")
    parser.add_argument("--batch", type=positive(int), default=BATCH, metavar="N", help="modules of one job")
    parser.add_argument("--reduce", type=seconds, default=REDUCE, metavar="TIME", help="for reducing one finding")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of the first generated module, or of the order of others (0: as they are listed)",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="where findings are kept, and the report is written"
    )
    parser.add_argument("--install", action="store_true", help="fetch engines that are named and not here")
    add_features(parser)


def seconds(text: str) -> float:
    """A time in seconds: ``90``, ``10m``, ``1h``."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        found = float(number) * _UNITS[unit]
    except ValueError:
        found = -1.0
    if not found >= 0:
        raise argparse.ArgumentTypeError(f"{text}: expected a time such as 90, 10m or 1h")
    return found


def run(options: argparse.Namespace) -> int:
    """Run, and write the report."""
    features, judged = parse_features(options.features), _judged(options)
    shared = features.intersection(*(one.features for one in judged))
    work = Work(judged, options.source, shared, options.seed, features)
    folder = Path(options.out)
    try:
        count = source_of(work.source, shared, options.seed).count
        workers: Workers = Cluster(options.scheduler) if options.scheduler else Local(options.jobs)
    except (ValueError, Unavailable) as error:
        raise UsageError(str(error)) from None
    campaign = Campaign(work, count, workers, folder, _tell, options.batch, options.reduce)
    try:
        campaign.run(options.time, options.modules)
    except Unavailable as error:
        raise UsageError(str(error)) from None
    finally:
        workers.close()
        found = document(campaign.findings, campaign.statistics, work)
        (folder / "report.json").write_text(text_of(found), encoding="utf-8", errors="backslashreplace")
        (folder / "report.html").write_text(render([found]), encoding="utf-8", errors="backslashreplace")
    print(f"{campaign.statistics.line(len(found.buckets))}; see {folder / 'report.html'}")
    return EXIT_BAD if found.buckets else 0


def _tell(text: str) -> None:
    print(text, flush=True)


def _judged(options: argparse.Namespace) -> tuple[Judged, ...]:
    """The engines that are here, with the features that they have; those that are not are named."""
    found = []
    for name in (word.strip() for word in options.engines.split(",")):
        try:
            if options.source == THREADS:
                native_engine(name).close()
                found.append(Judged(name, parse_features(options.features)))
                continue
            made = engine(name, options.install)
        except (Unavailable, Died, EngineFailed) as error:
            _tell(f"{name} is left out: {error}")
            continue
        found.append(Judged(name, made.features))
        made.close()
    if not found:
        raise UsageError(f"--engines {options.engines}: none of them can be judged here")
    return tuple(found)
