"""Counted loops: lines of a generated loop that a ``for`` statement over a ``range`` can replace.

Proved here, from the lines alone: the only branch back is the last thing, or the only way round a test at the top; the
counter is set once, by a constant step, and nothing names it or leaves the loop between that and the branch.

Inside of the ``for`` statement, locals that are set to sums and never read are left to be set behind it. A counter that
is never read gives way to a variable that moves in equal steps. Elements whose index is the sum of something that does
not change and the counter are elements of a view that begins there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from refwasm.execution.compiler.source import INDENT, Line

_STEP = re.compile(r"l(\d+) = \(l(\d+) ([+-]) (\d+)\)")
_JUMP = re.compile(r" *(break|continue|return|b = )")
CONDITION = re.compile(r"if \(?(not )?(l\d+)(?: (<|!=|>|==|>=|<=) (l\d+|-?\d+|0x[0-9a-f]+))?\)?:")


def tail_of(texts: list[str], depth: int) -> tuple[str, bool, int] | None:
    """The condition of the branch back, or of the way out at the top, whether it comes first, and the index of the
    first line of the tail that a ``for`` does without."""
    here = INDENT * depth
    if len(texts) >= 3 and texts[-1] == here + "break" and texts[-2] == here + INDENT + "continue":
        condition = texts[-3][depth:]
        return (condition, False, len(texts) - 3) if texts[-3].startswith(here + "if ") else None
    if (
        len(texts) >= 4
        and texts[-1] == here + "continue"
        and texts[1] == here + INDENT + "break"
        and texts[2] != here + "else:"
    ):
        condition = texts[0][depth:]
        if texts[0].startswith(here + "if "):
            return condition, True, len(texts) - 1
    if len(texts) >= 3 and texts[-1] == here + "continue" and texts[-2] == here + INDENT + "break":
        return _inverted(texts[-3][depth:], len(texts) - 3) if texts[-3].startswith(here + "if ") else None
    return None


_INVERSE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}


def _inverted(condition: str, last: int) -> tuple[str, bool, int] | None:
    match = CONDITION.fullmatch(condition)
    if match is None:
        return None
    negated, name, relation, bound = match.groups()
    if relation is None:
        return (f"if {name}:" if negated else f"if (not {name}):"), False, last
    return f"if ({name} {_INVERSE[relation]} {bound}):", False, last


def step_of(texts: list[str], last: int, depth: int, index: int) -> tuple[int, int] | None:
    """The line that counts, and by how much; no later line before ``last`` names the local."""
    name = re.compile(rf"\bl{index}\b")
    for at in range(last - 1, -1, -1):
        if _JUMP.match(texts[at]):
            return None
        if name.search(texts[at]):
            match = _STEP.fullmatch(texts[at][depth:]) if texts[at].startswith(INDENT * depth) else None
            if match is None or int(match[1]) != index or int(match[2]) != index or not int(match[4]):
                return None
            return at, _amount(match)
    return None


def conditions_of(name: str, relation: str, bound: str, step: int, tested_first: bool) -> tuple[str, ...] | None:
    """What must hold before the loop for ``range`` to give the values that the loop goes through."""
    up = step > 0
    if tested_first:  # leaves if the relation holds
        if step == 1 and relation in (">=", "=="):
            return (f"{name} <= {bound}",)
        return None
    if relation == ("<" if up else ">"):
        return (f"{name} {relation} {bound}",) if up else None
    if relation == "!=":
        first = f"{name} < {bound}" if up else f"{name} > {bound}"
        return (first,) if abs(step) == 1 else (first, f"not ({bound} - {name}) % {abs(step)}")
    return None


_SUM = re.compile(r" *l(\d+) = \(l(\d+) ([+-]) (0x[0-9a-f]+|\d+)\)")
_NAME = re.compile(r"\bl(\d+)\b")
_WORD = re.compile(r"\w+")


def last_sums(body: list[Line], depth: int, fixed: str, sets: dict[int, int]) -> tuple[list[Line], list[str]]:
    """The body of a ``for`` statement that runs at least once, without the lines that set locals to another one plus a
    constant if nothing reads them; and what sets them behind it. ``fixed`` names what stays: counter and bound."""
    texts = [line for line, _ in body]
    here = INDENT * depth
    if any(not line.startswith(here) or line[depth] == INDENT or line.endswith(":") for line in texts):
        return body, []
    if any(_JUMP.match(line) for line in texts):
        return body, []
    mentions: dict[int, list[int]] = {}
    for number, line in enumerate(texts):
        for name in set(map(int, _NAME.findall(line))):
            mentions.setdefault(name, []).append(number)
    dropped: set[int] = set()
    behind = []
    for index, numbers in mentions.items():
        matches = [_SUM.fullmatch(texts[number]) for number in numbers]
        last = matches[-1]
        if last is None or any(match is None or int(match[1]) != index or match[2] == match[1] for match in matches):
            continue
        since = _stepped_since(texts, numbers[-1], int(last[2]), sets)
        if since is not None and f"l{index}" not in _WORD.findall(fixed):
            amount = _amount(last) - since
            dropped.update(numbers)
            behind.append(f"l{index} = l{last[2]} {'-' if amount < 0 else '+'} {abs(amount)}")
    return [line for number, line in enumerate(body) if number not in dropped], behind


def _stepped_since(body: list[str], number: int, index: int, sets: dict[int, int]) -> int | None:
    """By how much a local changes behind a line, if that can be told."""
    setting = [at for at, line in enumerate(body) if line.strip().startswith(f"l{index} = ")]
    if len(setting) != sets.get(index, 0):
        return None
    if not setting or setting[-1] < number:
        return 0
    match = _SUM.fullmatch(body[setting[0]])
    if len(setting) > 1 or match is None or int(match[1]) != index or int(match[2]) != index:
        return None
    return _amount(match)


def for_header(variable: str, end: str, step: int) -> str:
    """The head of a ``for`` statement that goes on from where a variable is."""
    return f"for {variable} in range({variable}, {end}{f', {step}' if step != 1 else ''}):"


_FOR = re.compile(r" *for (\w+) in range\(\1, (\w+)(, -1)?\):")
_MOVE = re.compile(r" *(?:(t\d+) ([+-])= (\d+)|(l\d+) = \(\4 ([+-]) (\d+)\))")


def led_by(lines: list[Line], depth: int, fresh: Callable[[], str]) -> tuple[list[Line], list[str]]:
    """The lines of a ``for`` statement, with a variable in place of the counter if one can be; and lines that must come
    before. ``fresh`` gives the name of a new variable."""
    texts = [line for line, _ in lines]
    match, otherwise = _FOR.fullmatch(texts[0]), texts.index(INDENT * (depth - 1) + "else:")
    body = texts[1:otherwise]
    if match is None or any(_JUMP.match(line) for line in body) or _mentions(body, match[1]):
        return lines, []
    moving = _moving(body, depth)
    if moving is None:
        return lines, []
    (number, variable, amount), (counter, bound, down) = moving, match.groups()
    turns = counter if bound == "0" else f"({counter} - {bound})" if down else f"({bound} - {counter})"
    end, here = fresh(), INDENT * depth
    kept = lines[1 : number + 1] + lines[number + 2 : otherwise] or [(here + "pass", [])]
    behind: list[Line] = [(f"{here}{variable} = {end}", []), (f"{here}{counter} = {bound}", [])]
    before = f"{end} = {variable} + {turns}" + (f" * {amount}" if amount != 1 else "")
    header: Line = (here[1:] + for_header(variable, end, amount), [])
    return [header, *kept, lines[otherwise], *behind, *lines[otherwise + 2 :]], [before]


def _moving(body: list[str], depth: int) -> tuple[int, str, int] | None:
    """A line, the last one about a variable, that is alone to change it; the variable, and by how much."""
    for number, line in enumerate(body):
        move = _MOVE.fullmatch(line) if line[depth] != INDENT else None
        if move is None:
            continue
        variable = move[1] or move[4]
        amount = int((move[2] or move[5]) + (move[3] or move[6]))
        changes = sum(bool(re.match(rf" *{variable} [+-]?= ", other)) for other in body)
        if amount and changes == 1 and not _mentions(body[number + 1 :], variable):
            return number, variable, amount
    return None


def _mentions(lines: list[str], name: str) -> bool:
    return any(name in _WORD.findall(line) for line in lines)


_ELEMENT = re.compile(r"\b((?:u8|[UFI]\d+)_m\d+_\d+)\[\(?([lt]\d+) \+ ([lt]\d+)\)?\]")


def based(lines: list[Line], is_fixed: Callable[[str], bool], fresh: Callable[[], str]) -> tuple[list[Line], list[str]]:
    """The lines of a ``for`` statement with views that begin where nothing changes, and lines that must come before."""
    match = re.match(r" *for (\w+) in", lines[0][0])
    assert match is not None
    counter, views = match[1], {}

    def element(found: re.Match[str]) -> str:
        base = found[2] if found[3] == counter else found[3]
        if counter not in found.groups() or not is_fixed(base):
            return found[0]
        view = f"{found[1]}[{base}:]"
        if view not in views:
            views[view] = fresh()
        return f"{views[view]}[{counter}".ljust(len(found[0]) - 1) + "]"  # columns stay where they are

    lines = [(_ELEMENT.sub(element, line), spans) for line, spans in lines]
    return lines, [f"{name} = {view}" for view, name in views.items()]


def _amount(match: re.Match[str]) -> int:
    """What is added in a step or a sum."""
    return int(match[4], 0) * (1 if match[3] == "+" else -1)
