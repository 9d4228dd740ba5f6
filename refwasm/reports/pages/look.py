"""The look of all pages: one self-contained file, light and dark, readable on a phone, printable.

HTML is built by :func:`tag`, which escapes all text: what is :class:`Html` already is HTML, everything else is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple, TypeAlias

#: What stands in an element: HTML, texts, and several of them.
Node: TypeAlias = "str | Iterable[Node]"

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --faint: #8888; --wrong: light-dark(#b3261e, #ff8a80);
  --right: light-dark(#1b6e2e, #7ddc94); --ink: light-dark(#2456c7, #8fb4ff); --paper: light-dark(#fff, #16181c);
  --text: light-dark(#1c1e22, #e4e6ea); }
* { box-sizing: border-box; }
body { background: var(--paper); color: var(--text); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
.lead { margin: 0 0 1rem; } .soft, footer { opacity: .7; } footer { font-size: .85rem; margin-top: 3rem; }
.right { color: var(--right); } .wrong { color: var(--wrong); font-weight: 600; }
.wide { overflow-x: auto; } .facts { display: flex; flex-wrap: wrap; gap: .5rem 2rem; margin: 1rem 0; }
.facts div { min-width: 6rem; } .facts b { display: block; font-size: 1.25rem; }
article { border: 1px solid var(--line); border-radius: .5rem; margin: 1rem 0; padding: .75rem 1rem; }
article.bad { border-left: 4px solid var(--wrong); }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; opacity: .7; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; } td.number, th.number { text-align: right; white-space: nowrap; }
tr.chapter th { background: var(--soft); } th { white-space: nowrap; }
code, pre, kbd { font: 13px/1.45 ui-monospace, monospace; } td code { overflow-wrap: anywhere; }
pre { background: var(--soft); border-radius: .3rem; margin: .5rem 0; overflow: auto; padding: .6rem; }
pre.lines { white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; margin: 0; }
dt { opacity: .7; } dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; margin: .5rem 0; }
.sides > div { background: var(--soft); border-radius: .3rem; padding: .5rem .75rem; overflow-x: auto; }
svg text { font: 12px ui-monospace, monospace; fill: currentColor; } svg text.lane { font-weight: bold; }
svg line.lane { stroke: var(--line); }
svg.lanes rect { fill: var(--paper); stroke: currentColor; stroke-opacity: .4; }
svg.lanes .marked rect { stroke: var(--wrong); stroke-opacity: 1; stroke-width: 2.5; }
svg.lanes .arrow { fill: none; stroke: var(--ink); stroke-width: 1.5; } svg.lanes .arrow.sw { stroke: var(--right); }
svg.lanes .arrow.hb { stroke: currentColor; stroke-dasharray: 4 3; }
path.rf { fill: var(--ink); } path.sw { fill: var(--right); } path.hb { fill: currentColor; }
svg.timeline { max-width: 100%; height: auto; }
svg.timeline rect { fill: var(--ink); fill-opacity: .55; stroke: var(--ink); }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .4rem; } body { margin: 1rem auto; } }
@media print { :root { color-scheme: light; } body { margin: 0; max-width: none; font-size: 11pt; }
  article, tr, svg { break-inside: avoid; } details > * { display: block; } .wide { overflow: visible; } }
"""

#: Control characters, which HTML can't hold, and what is shown instead.
_CONTROLS = {number: f"\\x{number:02x}" for number in range(32) if chr(number) not in "\t\n"}


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def tag(name: str, *children: Node, **attributes: str | int | bool) -> Html:
    """An element. Attributes are named as in HTML, ``class`` as ``kind``; True stands for one without a value, and
    False or "" for none."""
    told = "".join(
        f" {'class' if key == 'kind' else key.replace('_', '-')}"
        + ("" if value is True else f'="{escape(str(value), quote=True)}"')
        for key, value in attributes.items()
        if value is not False and value != ""
    )
    return Html(f"<{name}{told}>" if name == "br" else f"<{name}{told}>{join(children)}</{name}>")


def join(children: Iterable[Node]) -> Html:
    """HTML and texts one after the other."""
    parts = []
    for child in children:
        if isinstance(child, Html):
            parts.append(str(child))
        else:
            parts.append(escape(child.translate(_CONTROLS), quote=False) if isinstance(child, str) else join(child))
    return Html("".join(parts))


def code(text: str, kind: str = "") -> Html:
    """A piece of code in a line."""
    return tag("code", text, kind=kind) if text else Html("")


def pre(text: str, kind: str = "lines") -> Html:
    """Lines of code or output."""
    return tag("pre", text, kind=kind)


def prose(text: str) -> Html:
    """A text in which `backticks` stand around code."""
    parts = re.split(r"`([^`]+)`", text)
    return join(code(part) if number % 2 else part for number, part in enumerate(parts))


def verdict(good: bool, text: str) -> Html:
    """A word in the colour of success or failure; failures are bold, so that print and eyes without colours tell."""
    return tag("span", text, kind="right" if good else "wrong")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = (), caption: str = "") -> Html:
    """A table; ``numbers`` are the columns of numbers."""
    right = set(numbers)
    kinds = ["number" if column in right else "" for column in range(len(heads))]
    body = [
        tag("tr", [tag("td", cell, kind=kinds[column]) for column, cell in enumerate(row)]) for row in rows
    ]  # fmt: skip
    head = tag("tr", [tag("th", text, kind=kind, scope="col") for text, kind in zip(heads, kinds)])
    told = tag("caption", caption) if caption else ""
    return tag("div", tag("table", told, tag("thead", head), tag("tbody", body)), kind="wide", tabindex="0")


def facts(items: Iterable[tuple[str, str]]) -> Html:
    """Figures beside each other: what is counted, and how many."""
    return tag("div", [tag("div", tag("b", value), name) for name, value in items], kind="facts")


def listed(items: Iterable[tuple[str, str]]) -> Html:
    """Names with what they stand for; those that stand for nothing are left out."""
    return tag("dl", [join((tag("dt", name), tag("dd", value))) for name, value in items if value])


def details(summary: str, *children: Node) -> Html:
    """Something that is shown when it is asked for."""
    return tag("details", tag("summary", summary), children)


class Page(NamedTuple):
    """What a page shows: its title, what it is about in a line, and the rest."""

    title: str
    lead: Html
    body: Html


def page(title: str, lead: str, *sections: Node) -> Page:
    """A page of these sections."""
    return Page(title, join((lead,)), join(sections))


def fragment(shown: Page) -> Html:
    """What a page shows below its title, for a page that shows more."""
    return join((tag("p", shown.lead, kind="lead"), shown.body))


def whole(shown: Page) -> str:
    """A page as a file that needs nothing else."""
    from refwasm import __version__

    return str(
        Html("<!doctype html>\n")
        + tag(
            "html",
            tag(
                "head", Html('<meta charset="utf-8">'),
                Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
                tag("title", shown.title), tag("style", Html(STYLE)),
            ),
            "\n",
            tag(
                "body", tag("main", tag("h1", shown.title), fragment(shown)),
                tag("footer", f"refwasm {__version__}"),
            ),
            lang="en",
        )
        + "\n"
    )  # fmt: skip
