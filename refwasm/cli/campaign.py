"""Judge engines on many modules, and keep what differs, in buckets. Started again with the same --out it goes on."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from refwasm.campaign.report import write_report
from refwasm.campaign.run import Campaign
from refwasm.campaign.singles import singles
from refwasm.campaign.smith import smith
from refwasm.campaign.source import Item
from refwasm.cli import EXIT_BAD, UsageError, positive
from refwasm.cli.files import add_features, parse_features
from refwasm.engines.catalogue import engine
from refwasm.engines.protocol import Died, Engine, Unavailable
from refwasm.oracle.case import Oracle

SOURCES = ("singles", "smith", "corpus:DIR")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engines", required=True, metavar="NAMES", help="separated by commas; NAME or NAME==VERSION")
    parser.add_argument("--source", default="singles", metavar="SOURCE", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument("--time", type=positive(float), metavar="SECONDS", help="stop after that time")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first generated module")
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="where findings are kept, and the report is written"
    )
    parser.add_argument("--install", action="store_true", help="fetch versions of engines that are named and not here")
    add_features(parser)


def run(options: argparse.Namespace) -> int:
    """Run, and write the report."""
    oracle = Oracle(parse_features(options.features))
    engines = _engines(options)
    folder = Path(options.out)
    features = oracle.features.intersection(*(made.features for made in engines))
    items = _items(options.source, features, options.seed)
    campaign = Campaign(engines, oracle, folder, lambda text: print(text, flush=True))
    try:
        statistics = campaign.run(items, options.time)
    except Unavailable as error:
        raise UsageError(str(error)) from None
    finally:
        for made in engines:
            made.close()
    found = campaign.findings
    write_report(folder / "report.html", found, statistics)
    print(f"{statistics.line(len(found.buckets))}; see {folder / 'report.html'}")
    return EXIT_BAD if found.buckets else 0


def _engines(options: argparse.Namespace) -> list[Engine]:
    """The engines that are here; those that are not are named."""
    made = []
    for name in options.engines.split(","):
        try:
            made.append(engine(name.strip(), options.install))
        except (Unavailable, Died) as error:
            print(f"{name} is left out: {error}", flush=True)
    if not made:
        raise UsageError(f"--engines {options.engines}: none of them can be judged here")
    return made


def _items(source: str, features: frozenset[str], seed: int) -> Iterable[Item]:
    if source == "singles":
        return singles(features)
    if source == "smith":
        return smith(features, seed)
    kind, _, folder = source.partition(":")
    if kind != "corpus" or not Path(folder).is_dir():
        raise UsageError(f"--source {source}: expected {', '.join(SOURCES)}")
    files = sorted(chain(Path(folder).rglob("*.wasm"), Path(folder).rglob("*.wat")))
    return (Item(str(file), file.read_bytes()) for file in files)
