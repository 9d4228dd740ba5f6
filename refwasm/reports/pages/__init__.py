"""Reports as pages: self-contained HTML, one look for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refwasm.reports.data import BadDocument
from refwasm.reports.documents.engines import Campaign, Conformance, Engines, Judgement, Scripts
from refwasm.reports.documents.explorations import Exploration, Litmus
from refwasm.reports.documents.modules import Dump, Explanation, Validation
from refwasm.reports.documents.programs import Check, Run
from refwasm.reports.documents.systems import Devices, Doctor
from refwasm.reports.pages import engines, explorations, modules, programs
from refwasm.reports.pages.look import Page, fragment, whole

_PAGES: dict[type, Callable[[Any], Page]] = {
    Run: programs.run_page, Check: programs.check_page, Exploration: explorations.exploration_page,
    Litmus: explorations.litmus_page, Scripts: engines.scripts_page, Validation: modules.validation_page,
    Judgement: engines.judgement_page, Campaign: engines.campaign_page, Doctor: modules.doctor_page,
    Devices: modules.devices_page, Engines: modules.engines_page, Dump: modules.dump_page,
    Explanation: modules.explanation_page, Conformance: lambda document: engines.conformance_page([document]),
}  # fmt: skip


def render(documents: Sequence[Any]) -> str:
    """The page of a document, or of several runs of the conformance suite. BadDocument: of other kinds there is one
    document to a page."""
    if len(documents) == 1:
        return whole(_PAGES[type(documents[0])](documents[0]))
    if all(isinstance(document, Conformance) for document in documents):
        return whole(engines.conformance_page(documents))
    raise BadDocument("several files on one page: only runs of the conformance suite can be compared")


def render_fragment(document: Any) -> str:
    """What the page of a document shows below its title, for a page that has more and the same style."""
    return str(fragment(_PAGES[type(document)](document)))
