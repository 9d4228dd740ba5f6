"""The Sphinx extension of the site: reference pages out of the code, stable anchors, links between pages.

Directives: ``commands`` (every command, from its parser), ``formats`` (the JSON formats, with their schemas),
``extras`` (pyproject.toml), ``exit-codes``. Each makes Markdown, which is read as if it stood in the page.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import textwrap
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

from refwasm import cli
from refwasm.cli.doctor import EXTRAS
from refwasm.reports.data import fields, meaning
from refwasm.reports.documents import KINDS, schema_of

ROOT = Path(__file__).parent.parent.parent


class Generated(SphinxDirective):
    """A directive whose content is Markdown that the code gives."""

    has_content = False

    def markdown(self) -> Iterator[str]:
        """The lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.markdown()), allow_section_headings=True)


# ---- commands -------------------------------------------------------------------------------------------------------


class Commands(Generated):
    """Every command: what it does, its usage, its arguments and options."""

    def markdown(self) -> Iterator[str]:
        for name, summary in cli.COMMANDS.items():
            parser = cli.parser_of(name)
            parser.prog = f"refwasm {name}"
            yield from (f"({_anchor(name)})=", f"## refwasm {name}", "", f"*{_sentence(summary)}*", "")
            yield from (_prose(parser.description or ""), "")
            yield from ("```text", _usage(parser), "```", "")
            yield from _arguments(parser)


def _usage(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = functools.partial(argparse.HelpFormatter, width=88)
    return textwrap.dedent(parser.format_usage().removeprefix("usage: ")).strip()


def _anchor(name: str) -> str:
    return f"refwasm-{name.replace('+', 'x')}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _prose(text: str) -> str:
    """A docstring as Markdown: what it says in RST's marks, and nothing that Markdown would take for something else."""
    text = re.sub(r"``(.+?)``", r"`\1`", text.strip())
    text = re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?![^`]*`[^`]*$)", r"`\1`", text)
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if n % 2 else re.sub(r"([*_<>\[\]|$])", r"\\\1", part) for n, part in enumerate(parts))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    actions = [action for action in parser._actions if action.dest != "help"]
    if not actions:
        return
    yield from ("| argument | what it is |", "| --- | --- |")
    for action in actions:
        told = _cell((action.help or "").replace("%(default)s", str(action.default)))
        if action.choices and not isinstance(action.choices, range):
            told += f" ({', '.join(f'`{choice}`' for choice in action.choices)})"
        yield f"| {_named(action)} | {told} |"
    yield ""


def _named(action: argparse.Action) -> str:
    value = str(action.metavar or (action.dest.upper() if action.option_strings and action.nargs != 0 else action.dest))
    if not action.option_strings:
        return f"`{value}`"
    takes = "" if action.nargs == 0 else f" [{value}]" if action.nargs == "?" else f" {value}"
    return ", ".join(f"`{option}{takes}`" for option in action.option_strings)


def _cell(text: str) -> str:
    return _prose(" ".join(text.split()))


# ---- formats --------------------------------------------------------------------------------------------------------


class Formats(Generated):
    """The JSON formats: for each kind its fields, and its schema."""

    def markdown(self) -> Iterator[str]:
        for name, kind in KINDS.items():
            yield from (f"(format-{name})=", f"## refwasm {name}", "", _about(kind), "")
            for part in _parts(kind):
                if part is not kind:
                    yield from (f"**{part.__name__}**: {_about(part)}", "")
                yield from _fields(part)
            schema = json.dumps(schema_of(name), indent=1)
            yield from (":::{dropdown} JSON Schema", "```json", schema, "```", ":::", "")


def _about(kind: type) -> str:
    """What the docstring of a class says."""
    return _prose(" ".join((kind.__doc__ or "").split()))


def _parts(kind: type) -> list[type]:
    """A class and those that it holds."""
    found: list[type] = []

    def visit(t: Any) -> None:
        if isinstance(t, type) and hasattr(t, "__dataclass_fields__"):
            if t in found:
                return
            found.append(t)
            for inner in fields(t).values():
                visit(inner)
        for inner in typing.get_args(t):
            visit(inner)

    visit(kind)
    return found


def _fields(kind: type) -> Iterator[str]:
    yield from ("| field | type | meaning |", "| --- | --- | --- |")
    for name, t in fields(kind).items():
        yield f"| `{name}` | {_type(t)} | {_prose(meaning(t))} |"
    yield ""


def _type(t: Any) -> str:
    origin, args = typing.get_origin(t), typing.get_args(t)
    if origin is typing.Annotated:
        return _type(args[0])
    if origin is list:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return f"object of {_type(args[1])}"
    if args:
        return f"{_type(next(arg for arg in args if arg is not type(None)))} or null"
    return {str: "text", int: "integer", float: "number", bool: "true or false"}.get(t) or f"{t.__name__}"


# ---- small tables ---------------------------------------------------------------------------------------------------


class Extras(Generated):
    """What ``pip install 'refwasm[EXTRA]'`` brings, and what for."""

    def markdown(self) -> Iterator[str]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        yield from ("| extra | what it is for | what it brings |", "| --- | --- | --- |")
        for name, (_, purpose) in EXTRAS.items():
            brought = ", ".join(f"`{package}`" for package in project["optional-dependencies"][name])
            yield f"| `{name}` | {_prose(purpose)} | {brought} |"


class ExitCodes(Generated):
    """What commands end with."""

    MEANINGS = {
        0: "all is well",
        cli.EXIT_BAD: "something is bad: a module, a script, a verdict, a file that can't be read",
        cli.EXIT_USAGE: "wrong usage; nothing was done",
        cli.EXIT_CRASH: "a process of refwasm's died, or made a mistake of its own",
        cli.EXIT_LIMIT: "a limit was reached: fuel, time, memory, call depth",
        cli.EXIT_INTERRUPTED: "interrupted (Control-C)",
        cli.EXIT_TRAP: "a trap, or an exception that nobody caught",
    }

    def markdown(self) -> Iterator[str]:
        yield from ("| exit code | meaning |", "| --- | --- |")
        yield from (f"| {code} | {text} |" for code, text in self.MEANINGS.items())


# ---- links ----------------------------------------------------------------------------------------------------------


class PageLinks(SphinxTransform):
    """A page of ``docs/`` that is named in a text is linked, and so is a rule of its semantics."""

    default_priority = 500
    _PAGE = re.compile(r"docs/([\w/-]+)\.md")
    _RULE = re.compile(r"PAR-[A-Z]+-\d\d")

    def apply(self, **kwargs: Any) -> None:
        for literal in list(self.document.findall(nodes.literal)):
            page = self._PAGE.fullmatch(literal.astext())
            if page and not isinstance(literal.parent, nodes.reference):
                literal.parent.replace(literal, self._page(page.group(1), literal.deepcopy()))
        for text in list(self.document.findall(nodes.Text)):
            if isinstance(text.parent, (nodes.paragraph, nodes.entry)) and self._RULE.search(text):
                self._link_rules(text)

    def _page(self, page: str, shown: nodes.Node) -> nodes.Node:
        return pending_xref("", shown, refdomain="std", reftype="doc", reftarget=f"/{page}", refexplicit=True,
                            refwarn=True)  # fmt: skip

    def _rule(self, name: str) -> nodes.Node:
        page = self.app.builder.get_relative_uri(self.env.docname, "semantics")
        return nodes.reference("", "", nodes.Text(name), refuri=f"{page}#{name.lower()}", internal=True)

    def _link_rules(self, text: nodes.Text) -> None:
        parts: list[nodes.Node] = []
        position = 0
        for rule in self._RULE.finditer(text):
            parts.append(nodes.Text(text[position : rule.start()]))
            parts.append(self._rule(rule.group()))
            position = rule.end()
        parts.append(nodes.Text(text[position:]))
        text.parent.replace(text, parts)


def heading_slug(text: str) -> str:
    """The anchor of a heading: of a rule, its name alone, which stays when its mark changes."""
    if rule := re.match(r"PAR-[A-Z]+-\d\d", text):
        return rule.group().lower()
    return re.sub(r"[^\w-]+", "-", text.lower()).strip("-")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("commands", Commands)
    app.add_directive("formats", Formats)
    app.add_directive("extras", Extras)
    app.add_directive("exit-codes", ExitCodes)
    app.add_transform(PageLinks)
    return {"parallel_read_safe": True}
