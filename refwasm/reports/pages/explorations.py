"""Pages of explorations and litmus tests."""

from __future__ import annotations

from refwasm.reports.documents.explorations import Exploration, Litmus, LitmusTest, Picture, Place, Race, State
from refwasm.reports.pages.look import Html, Page, code, facts, join, page, pre, table, tag, verdict
from refwasm.reports.pages.picture import draw


def exploration_page(found: Exploration) -> Page:
    """All final states, races with both sides, schedules as pictures."""
    failures = sum(bool(state.failed) for state in found.states)
    whole = "These are all final states." if found.complete else f"There may be others: {found.incomplete}."
    parts: list[str] = [
        facts([("final states", str(len(found.states))), ("failures", str(failures)), ("races", str(len(found.races))),
               ("classes of schedules", str(found.classes)), ("seconds", f"{found.seconds:.2f}")]),
        tag("h2", "Final states"), _states(found),
    ]  # fmt: skip
    if found.races:
        parts += [tag("h2", "Races"), *map(race_article, found.races)]
    shown = [state for state in found.states if state.picture is not None]
    if shown or any(race.picture for race in found.races):
        parts.append(_legend())
    if shown:
        parts += [tag("h2", "Schedules"), *map(_schedule, sorted(shown, key=lambda state: not state.failed))]
    if found.relaxed:
        parts.append(tag("h2", "Executions that no interleaving shows"))
        parts += [
            tag("article", tag("h3", code(state.text)), picture(state.picture)) for state in found.relaxed
        ]  # fmt: skip
    return page(f"Schedules of {found.name}", f"{whole} Mode: {found.mode}.", parts)


def _legend() -> Html:
    return tag(
        "p", "Arrows: ", tag("span", "reads from", style="color: var(--ink)"), ", ",
        tag("span", "synchronises with", style="color: var(--right)"),
        ", dashed: another order (starts, wakes, ended). Boxes with a thick border are the two sides of a race.",
        kind="soft",
    )  # fmt: skip


def _states(found: Exploration) -> Html:
    rows = [
        (code(state.text), verdict(not state.failed, state.failed), str(state.count),
         code(f"--mode replay:{state.witness}"))
        for state in found.states
    ]  # fmt: skip
    rows += [(code(state.text), Html("relaxed only"), "", Html("")) for state in found.relaxed or ()]
    return table(("final state", "", "classes", "schedule"), rows, (2,))


def race_article(race: Race) -> Html:
    """A race: both sides with their calls, and its picture."""
    sides = [
        tag("div", tag("b", side.told), [join((tag("br"), *_place(place))) for place in side.stack])
        for side in race.sides
    ]  # fmt: skip
    return tag(
        "article", tag("h3", race.told), tag("div", sides, kind="sides"),
        tag("p", f"Ordered last: {race.ordered}."), picture(race.picture),
        tag("p", code(f"--mode replay:{race.witness}")) if race.witness else "", kind="bad",
    )  # fmt: skip


def _place(place: Place) -> list[str]:
    return [f"at {place.text}", *([tag("br"), Html("&nbsp;&nbsp;"), code(place.code)] if place.code else [])]


def _schedule(state: State) -> Html:
    failed = [verdict(False, f"{state.failed}: ")] if state.failed else []
    return tag(
        "article", tag("h3", failed, code(state.text)), picture(state.picture),
        tag("p", code(f"--mode replay:{state.witness}")), kind="bad" if state.failed else "",
    )  # fmt: skip


def picture(shown: Picture | None) -> Html:
    """A picture with room to scroll."""
    if shown is None:
        return Html("")
    note = tag("p", shown.note, kind="soft") if shown.note else ""
    return join((note, tag("div", Html(draw(shown)), kind="wide", tabindex="0")))


def litmus_page(found: Litmus) -> Page:
    """Litmus tests with the final states that were seen."""
    wrong = sum(bool(test.wrong) for test in found.tests)
    by = f"on {found.engine}" if found.engine else "under the memory model"
    lead = join((f"{len(found.tests)} tests {by}; ", verdict(not wrong, f"{wrong} of them wrong"), "."))
    return page("Litmus tests", lead, map(_test, found.tests))


def _test(test: LitmusTest) -> Html:
    if test.left_out:
        return tag("article", tag("h3", test.name), tag("p", f"Not run: {test.left_out}.", kind="soft"))
    rows = [(code(text), _kind(test, text), str(count)) for text, count in sorted(test.seen.items())]
    rows += [(code(text), tag("span", "forbidden, not seen"), "") for text in test.forbidden if text not in test.seen]
    return tag(
        "article", tag("h3", f"{test.name}: {test.about}"), table(("final state", "", "seen"), rows, (2,)),
        pre("\n".join(test.wrong)) if test.wrong else "", kind="bad" if test.wrong else "",
    )  # fmt: skip


def _kind(test: LitmusTest, text: str) -> Html:
    if text not in test.allowed:
        return verdict(False, "not allowed")
    return verdict(True, "allowed" if test.allowed[text] else "allowed, relaxed only")
