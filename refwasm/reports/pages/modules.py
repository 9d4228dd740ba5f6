"""Pages of modules, and of what is here."""

from __future__ import annotations

from refwasm.reports.documents.engines import Engines
from refwasm.reports.documents.modules import Dump, Explanation, Function, Validation
from refwasm.reports.documents.systems import Devices, Doctor
from refwasm.reports.pages.look import Html, Page, code, details, join, page, pre, table, tag, verdict


def validation_page(found: Validation) -> Page:
    """Which modules are bad, and why."""
    bad = sum(not module.ok for module in found.modules)
    rows = [
        (m.file, verdict(m.ok, "valid" if m.ok else m.kind), m.location, m.message) for m in found.modules
    ]  # fmt: skip
    lead = verdict(not bad, f"{bad} of {len(found.modules)} modules are bad")
    return page("Validation", lead, table(("file", "", "where", "message"), rows))


def dump_page(found: Dump) -> Page:
    """Sections, imports, exports, code."""
    sections = [(f"0x{s.offset:06x}", s.name, str(s.size), s.custom) for s in found.sections]
    imports = [(item.module, item.name, code(item.type)) for item in found.imports]
    exports = [
        (item.name, code(item.type), "" if item.index is None else str(item.index)) for item in found.exports
    ]  # fmt: skip
    return page(
        found.file, f"{found.size} bytes.", tag("h2", "Sections"),
        table(("offset", "section", "bytes", ""), sections, (0, 2)), tag("h2", "Imports"),
        table(("module", "name", "type"), imports), tag("h2", "Exports"), table(("name", "type", "index"), exports),
        tag("h2", "Functions"), [details(_title(func), pre(_code(func), "")) for func in found.functions],
    )  # fmt: skip


def explanation_page(found: Explanation) -> Page:
    """A function as instructions and as Python."""
    python = "\n".join(
        f"{line.text:<78}  # {', '.join(line.places)}" if line.places else line.text for line in found.python
    )
    facts = [tag("li", fact) for fact in found.facts] or tag("li", "none")
    return page(
        _title(found.function), join(("A function of ", code(found.file), ".")), tag("h2", "Instructions"),
        pre(_code(found.function), ""), tag("h2", "Python"), pre(python, ""), tag("h2", "Facts that were used"),
        tag("ul", facts),
    )  # fmt: skip


def _title(func: Function) -> str:
    return f"func[{func.index}]{f' ${func.name}' if func.name else ''} {func.type}"


def _code(func: Function) -> str:
    lines = [f"{'':10}local {text}" for text in func.locals]
    for item in func.code:
        if item.source:
            lines.append(f"{'':12};; {item.source}")
        lines.append(f"0x{item.offset:06x}  {'  ' * item.depth}{item.text}")
    return "\n".join(lines)


def doctor_page(found: Doctor) -> Page:
    """What is here, and what is missing for what."""
    parts: list[Html] = []
    for topic in dict.fromkeys(finding.topic for finding in found.findings):
        rows = [
            (item.name, verdict(item.here, "here" if item.here else "missing"), item.told)
            for item in found.findings
            if item.topic == topic
        ]
        parts += [tag("h2", topic), table(("", "", ""), rows)]
    return page("What is here", "Nothing is needed but Python.", parts)


def devices_page(found: Devices) -> Page:
    """Devices."""
    rows = [
        (code(item.spec), item.name, verdict(not item.problem, item.problem or ", ".join(item.facts)))
        for item in found.devices
    ]
    return page("Devices", "What kernels can run on here.", table(("--device", "name", ""), rows))


def engines_page(found: Engines) -> Page:
    """Engines."""
    rows = [
        (item.name, item.version, verdict(not item.problem, item.problem or " ".join(item.features)))
        for item in found.engines
    ]
    return page(
        "Engines", "What can be judged here.", table(("engine", "version", "features, or what is missing"), rows)
    )
