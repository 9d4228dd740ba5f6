"""What is here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass
class Finding:
    """Something that was looked for."""

    topic: str
    name: str
    here: bool
    told: str


@dataclass
class Doctor:
    """What is here: refwasm doctor --json."""

    findings: list[Finding]


@dataclass
class Device:
    """A device, for run --device."""

    spec: Annotated[str, "what --device takes"]
    name: str
    kind: str
    facts: list[str]
    problem: Annotated[str, "why it can't be used"]


@dataclass
class Devices:
    """Devices: refwasm devices --json."""

    devices: list[Device]
