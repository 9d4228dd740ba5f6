"""Findings: what differed, in which bucket; kept in a file of JSON lines that survives a kill at any time."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from refwasm.campaign.source import Item
from refwasm.engines.judging import Judgement
from refwasm.engines.protocol import Died, Failed
from refwasm.oracle.outcomes import Refused, Returned, Threw, Trapped


class Finding(NamedTuple):
    """Something that an engine does otherwise. ``bucket`` is one for each fault, as far as can be told; ``module`` is
    the module that shows it, ``call`` what was called (None: instantiating it was enough), ``kind`` what the item is
    about. ``of`` is the bucket that it was in before it was reduced, if that is another; ``name`` is what the
    engine is called on the command line."""

    bucket: str
    engine: str
    kind: str
    item: str
    call: str | None
    expected: str
    observed: str
    module: bytes
    of: str = ""
    name: str = ""

    def line(self) -> str:
        """As JSON."""
        return json.dumps({**self._asdict(), "module": base64.b64encode(self.module).decode()})


def finding(judgement: Judgement, engine: str, item: Item) -> Finding:
    """What a judgement that differs shows."""
    expected, observed = judgement.verdict.expected, judgement.verdict.observed
    bucket = f"{engine}: {item.kind}: {difference(judgement)}"
    return Finding(
        bucket, engine, item.kind, item.label, judgement.call, _shown(expected), _shown(observed), item.module
    )  # fmt: skip


def _shown(side: object) -> str:
    return side if isinstance(side, str) else repr(side)


def died(engine: str, item: Item, reason: str) -> Finding:
    """An engine died of a module."""
    return Finding(
        f"{engine}: {item.kind}: died", engine, item.kind, item.label, None, "an outcome", reason, item.module
    )


def difference(judgement: Judgement) -> str:
    """What differs, without the values."""
    verdict = judgement.verdict
    kinds = [_kind(side) for side in (verdict.expected, verdict.observed)]
    place = verdict.where.split(" ")[0]
    if kinds[0] == kinds[1]:
        return f"other values ({place})"
    return f"{kinds[0]} / {kinds[1]}" if place == "call" else f"{kinds[0]} / {kinds[1]} ({place})"


def _kind(side: object) -> str:
    if isinstance(side, Trapped):
        return f"trap {side.kind}"
    if isinstance(side, Refused):
        return f"refused, {re.sub('[0-9]+', 'n', side.reason)[:80]}"
    names: dict[type, str] = {Returned: "returned", Threw: "exception"}
    return names.get(type(side), "value")


class Findings:
    """The findings of a campaign, and how far it got, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.state = folder / "findings.jsonl", folder / "state.json"
        self._end_the_last_line()
        self.buckets: dict[str, int] = {}
        self._divided: set[str] = set()  # buckets whose findings are in others since they were reduced
        for found in self:
            self.buckets[found["bucket"]] = self.buckets.get(found["bucket"], 0) + 1

    def _end_the_last_line(self) -> None:
        """A kill may have cut it off; the next finding has a line of its own."""
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All findings that are there; a line that a kill cut off is none."""
        with self.path.open("rb") as file:
            for line in file:
                try:
                    found = json.loads(line)
                except ValueError:
                    continue
                if isinstance(found, dict) and "bucket" in found:
                    yield found
                elif isinstance(found, dict) and isinstance(found.get("divided"), str):
                    self._divided.add(found["divided"])

    def add(self, found: Finding, most: int = 3) -> bool:
        """Keep a finding, unless there are enough of its bucket; whether its bucket is new."""
        count = self.buckets.get(found.bucket, 0)
        self.buckets[found.bucket] = count + 1
        if count < most:
            self._append(found.line())
        return not count

    def _append(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def shown(self) -> dict[str, dict[str, Any]]:
        """The first finding of each bucket, but for buckets whose findings are in others since they were reduced."""
        first: dict[str, dict[str, Any]] = {}
        for found in self:
            first.setdefault(found["bucket"], found)
        return {bucket: found for bucket, found in first.items() if bucket not in self._divided}

    def divide(self, bucket: str) -> None:
        """A finding of the bucket is in another one since it was reduced."""
        if bucket not in self._divided:
            self._divided.add(bucket)
            self._append(json.dumps({"divided": bucket}))

    def script_of(self, bucket: str) -> Path:
        """Where the script is that shows a bucket."""
        return self.path.parent / (re.sub(r"[^A-Za-z0-9.]+", "-", bucket)[:120].strip("-") + ".wast")

    def write_script(self, text: str) -> None:
        """Keep the script that shows a bucket, which its first line names."""
        bucket = text.partition("\n")[0].removeprefix(";; ").removeprefix("# ")
        self.script_of(bucket).write_text(text, encoding="utf-8")

    def of_a_death(self, engine: str, item: str, reason: Died) -> Finding:
        """An engine took its process with it, or refwasm failed."""
        bucket = f"refwasm: failed on {engine}" if isinstance(reason, Failed) else f"{engine}: died"
        return Finding(bucket, engine, "generated", item, None, "an outcome", str(reason), b"")

    def save(self, state: dict[str, Any]) -> None:
        """How far the campaign is; the file is the old or the new one, never a part."""
        partial = self.state.with_suffix(".part")
        partial.write_text(json.dumps(state, indent=1), encoding="utf-8")
        partial.replace(self.state)

    def load(self, **wanted: Any) -> dict[str, Any]:
        """What was saved last, if it is of the same work; nothing if nothing was."""
        try:
            found = json.loads(self.state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        same = isinstance(found, dict) and all(found.get(name) == value for name, value in wanted.items())
        return found if same else {}


__all__ = ["Finding", "Findings", "died", "difference", "finding"]
