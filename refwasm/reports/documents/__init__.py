"""What commands report, as data: one class for each kind of report. The classes are the definition of the JSON formats;
``refwasm report`` makes pages of them. A file says in its first field which kind it is, and in ``format_version`` which
form of it; a form only grows by fields that may be missing."""

from __future__ import annotations

import json
from typing import Any

from refwasm.reports.data import BadDocument, from_data, schema, to_data
from refwasm.reports.documents.engines import Campaign, Conformance, Engines, Judgement, Scripts
from refwasm.reports.documents.explorations import Exploration, Litmus
from refwasm.reports.documents.modules import Dump, Explanation, Validation
from refwasm.reports.documents.programs import Check, Run
from refwasm.reports.documents.systems import Devices, Doctor

#: The form of all kinds.
VERSION = 1

#: All kinds by the names that files give: what the ``format`` of a file says behind "refwasm ".
KINDS: dict[str, type] = {
    "run": Run, "check": Check, "exploration": Exploration, "litmus": Litmus, "scripts": Scripts,
    "validation": Validation, "judgement": Judgement, "campaign": Campaign, "conformance": Conformance,
    "doctor": Doctor, "devices": Devices, "engines": Engines, "dump": Dump, "explanation": Explanation,
}  # fmt: skip
_NAMES = {kind: name for name, kind in KINDS.items()}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of the files of a kind."""
    found = schema(KINDS[name])
    head = {"format": {"const": f"refwasm {name}"}, "format_version": {"const": VERSION}}
    return found | {"properties": head | found["properties"], "required": [*head, *found["required"]]}


def text_of(document: Any) -> str:
    """A document as a JSON text that says what it is."""
    head = {"format": f"refwasm {_NAMES[type(document)]}", "format_version": VERSION}
    return json.dumps(head | to_data(document), indent=1, ensure_ascii=False) + "\n"


def parse(text: str) -> Any:
    """The document in a JSON text. BadDocument: it is none, and where it stops being one."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"no JSON: {error}") from None
    name = data.pop("format", None) if isinstance(data, dict) else None
    version = data.pop("format_version", None) if isinstance(data, dict) else None
    word, _, kind = name.partition(" ") if isinstance(name, str) else ("", "", "")
    if word != "refwasm" or kind not in KINDS:
        known = ", ".join(f"'refwasm {kind}'" for kind in KINDS)
        raise BadDocument(f"$.format: expected one of {known}; files of --json have it")
    if version != VERSION:
        raise BadDocument(f"$.format_version: this refwasm reads version {VERSION}, the file has {version!r}")
    return from_data(KINDS[kind], data)
