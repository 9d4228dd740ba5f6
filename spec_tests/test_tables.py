"""The tables of forms, types and meanings cover the same instructions; numerics and templates agree."""

from __future__ import annotations

import random
import re
from itertools import chain
from pathlib import Path

import pytest

from refwasm.binary.instructions import OPERANDS as BINARY_OPERANDS
from refwasm.execution.interpreter.meaning import MEANINGS
from refwasm.execution.numerics import OPERATIONS, TEMPLATES
from refwasm.execution.numerics.table import is_numeric
from refwasm.strategies.tables import EFFECTS, LEAVING, TYPED
from refwasm.syntax import instructions
from refwasm.syntax.forms import FORMS_BY_FEATURE
from refwasm.syntax.instructions import FORMS
from refwasm.validation.instructions import RULES


def test_every_form_has_one_row_and_one_encoding() -> None:
    rows = [row for rows in FORMS_BY_FEATURE.values() for row in rows]
    assert len(rows) == len(FORMS) == 584
    assert len({(row[1], row[2]) for row in rows}) == len(rows)


def test_every_form_has_a_type() -> None:
    """Either the fifth column gives it, or a rule."""
    for form in FORMS.values():
        assert (form.params is None) <= (form in RULES), f"{form} has neither a type nor a rule"


def test_every_form_has_a_meaning() -> None:
    assert set(MEANINGS) == set(FORMS.values())


def test_every_immediate_word_is_known_to_both_formats() -> None:
    words = {word for form in FORMS.values() for word in form.immediates}
    assert words == set(BINARY_OPERANDS)


def test_the_opcodes_are_those_of_the_specification() -> None:
    """The list was derived from the specification's index of instructions and the threads proposal."""
    listed = {}
    for line in (Path(__file__).parent / "opcodes.txt").read_text().splitlines():
        code, mnemonic = line.split(" ", 1)
        listed[mnemonic] = tuple(int(part, 16) for part in code.split("."))
    ours = {name: (form.prefix, form.opcode) if form.prefix else (form.opcode,) for name, form in FORMS.items()}
    assert ours == listed


EDGES = {
    32: (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF),
    64: (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
    128: (0, 1, (1 << 128) - 1, 0x0102030405060708090A0B0C0D0E0F10, int("80" * 16, 16), int("7f" * 16, 16)),
}


def operands(mnemonic: str, randoms: int) -> list[tuple[int, ...]]:
    """Operand tuples for an instruction: all pairs of edge values, and random ones."""
    params = FORMS[mnemonic].params
    assert params is not None
    generator = random.Random(mnemonic)
    edges: list[tuple[int, ...]] = [()]
    for t in params:
        edges = [(*row, value) for row in edges for value in EDGES[t.bits]]
    return edges + [tuple(generator.getrandbits(t.bits) for t in params) for _ in range(randoms)]


@pytest.mark.parametrize("mnemonic", sorted(TEMPLATES))
def test_templates_are_the_numeric_functions(mnemonic: str) -> None:
    template = eval(f"lambda a, b=0: {TEMPLATES[mnemonic]}")
    for row in operands(mnemonic, 200):
        assert template(*row) == OPERATIONS[mnemonic](*row), row


def test_every_numeric_instruction_has_its_function() -> None:
    numeric = [name for name in FORMS if is_numeric(name)]
    assert len(numeric) == 354
    for name in numeric:
        params, results = FORMS[name].params, FORMS[name].results
        assert params and results
        row = tuple(1 for _ in params)
        assert 0 <= OPERATIONS[name](*row) < 1 << results[0].bits


def test_lanes_handled_together_equal_lanes_handled_singly() -> None:
    from refwasm.execution.numerics import integers, vectors

    for name, make in (("iadd", vectors.add), ("isub", vectors.sub)):
        for n in (8, 16, 32, 64):
            together, singly = make(n), vectors.lift2(n, getattr(integers, name))
            for row in operands("i8x16.add", 300):
                assert together(*row) == singly(*row), (name, n, row)
    for name, make in (("ieq", vectors.eq), ("ine", vectors.ne)):
        for n in (8, 16, 32, 64):
            together, singly = make(n), vectors.lift_relation(n, getattr(integers, name))
            for row in operands("i8x16.eq", 300):
                assert together(*row) == singly(*row), (name, n, row)
    for name, make in (("ishl", vectors.shl), ("ishr_u", vectors.shr_u), ("ishr_s", vectors.shr_s)):
        for n in (8, 16, 32, 64):
            together, singly = make(n), vectors.lift_shift(n, getattr(integers, name))
            for a, count in operands("i8x16.shl", 100):
                assert together(a, count) == singly(a, count), (name, n, a, count)


@pytest.mark.parametrize("n", [8, 16])
def test_saturating_lanes_equal_lanes_handled_singly(n: int) -> None:
    from refwasm.execution.numerics import conversions, integers, vectors

    for sx in ("s", "u"):
        for name in ("add_sat", "sub_sat"):
            together, singly = getattr(vectors, name)(n, sx), vectors.lift2(n, getattr(integers, f"i{name}_{sx}"))
            for row in operands("i8x16.add", 200):
                assert together(*row) == singly(*row), (name, sx, row)
        narrow, one = vectors.narrow(2 * n, n, sx), getattr(conversions, f"narrow_{sx}")
        for a, b in operands("i8x16.add", 200):
            lanes = [one(2 * n, n, i) for i in vectors.lanes(2 * n, a) + vectors.lanes(2 * n, b)]
            assert narrow(a, b) == vectors.vector(n, lanes)
    singly = vectors.lift2(16, integers.iq15mulr_sat_s)
    for row in operands("i8x16.add", 200):
        assert vectors.q15mulr_sat_s(*row) == singly(*row)


_FLOAT_EDGES = (0, 1, 5, 0x3F800000, 0x3FC00000, 0x40490FDB, 0x4EFFFFFF, 0x4F000000, 0x4F800000, 0x7F7FFFFF)
SHARED_BY_LANES = [
    name
    for name in FORMS
    if re.fullmatch(
        r"[if]\d+x\d+\.((relaxed_)?(min|max)(_[su])?|(eq|ne|lt|gt|le|ge)(_[su])?|add|sub|mul|div|sqrt|ceil|floor|trunc"
        r"|nearest|relaxed_n?madd)|i32x4\.(relaxed_)?trunc\w+",
        name,
    )
]


def lifted(mnemonic: str) -> object:
    """The plain definition of a vector operation: the scalar function on each lane."""
    from refwasm.execution.numerics import conversions, floats, integers, vectors

    shape, _, name = mnemonic.partition(".")
    kind, n, params = shape[0], int(shape[1:].split("x")[0]), FORMS[mnemonic].params or []
    name = name.removeprefix("relaxed_")
    if conversion := re.fullmatch(r"trunc_(?:sat_)?f(\d+)x\d_([su])(_zero)?", name):
        function = getattr(conversions, f"trunc_sat_{conversion[2]}")
        return vectors.convert(int(conversion[1]), 32, function, "zero" if conversion[3] else "")
    function = getattr(integers if kind == "i" else floats, kind + name)
    if re.fullmatch(r"(eq|ne|lt|gt|le|ge)(_[su])?", name):
        return vectors.lift_relation(n, function)
    return (vectors.lift1, vectors.lift2, vectors.lift3)[len(params) - 1](n, function)


@pytest.mark.parametrize("mnemonic", SHARED_BY_LANES)
def test_operations_on_whole_vectors_equal_their_lifted_definitions(mnemonic: str) -> None:
    n = int((re.search(r"f(32|64)", mnemonic) or re.match(r"[if](\d+)", mnemonic))[1])  # type: ignore[index]
    top, exponent = 1 << (n - 1), (n - 32) if n >= 32 else 0
    edges = [0, 1, top, top - 1, (1 << n) - 1]
    if n >= 32:
        infinity = 0x7F800000 if n == 32 else 0x7FF0000000000000
        edges += [infinity, infinity | 1, infinity | top, infinity | top >> 1 | 5, infinity - 1]
        edges += [value << exponent | sign for value in _FLOAT_EDGES for sign in (0, top)]
    generator = random.Random(mnemonic)
    plain, count = lifted(mnemonic), len(FORMS[mnemonic].params or ())
    for trial in range(400):
        row = [
            sum((generator.choice(edges) if trial % 3 else generator.getrandbits(n)) << i * n for i in range(128 // n))
            for _ in range(count)
        ]
        assert OPERATIONS[mnemonic](*row) == plain(*row), row  # type: ignore[operator]


def test_mnemonics_are_written_out_in_the_table() -> None:
    text = (Path(__file__).parent.parent / "refwasm" / "syntax" / "forms.py").read_text()
    assert len(re.findall(r'^ +\("', text, re.MULTILINE)) == len(FORMS)


def test_properties_of_instructions_are_what_their_names_say() -> None:
    for name, form in FORMS.items():
        parts = re.split(r"[._ ]", name)
        assert form.is_atomic == ("atomic" in parts), name
        assert form.is_rmw == any(part.startswith("rmw") for part in parts), name
        if form.width:
            loads, stores = (any(part.startswith(word) for part in parts) for word in ("load", "store"))
            is_wait = any(part.startswith("wait") for part in parts)
            assert (form.loads, form.stores) == (loads or form.is_rmw or is_wait, stores or form.is_rmw), name
        assert form.is_const == (parts[-1] == "const"), name
        compares = parts[1:2] and parts[1] in ("eqz", "eq", "ne", "lt", "gt", "le", "ge")
        assert form.is_relation == (bool(compares) and parts[0] in ("i32", "i64", "f32", "f64")), name
        assert form.is_tail_call == (parts[:2] == ["return", "call"]), name
        assert form.calls >= ("call" in parts), name
        assert form.is_nullable == (parts[-1] == "null" and " " in name), name
        makes_object = form.feature in ("gc", "custom-descriptors") and "new" in parts
        assert ("new" in form.properties) == makes_object or form.feature == "stack-switching", name
        assert not form.is_rmw or len(form.properties) >= 3, f"{name} does not say which operation"


def test_every_property_is_documented() -> None:
    words = set().union(*(form.properties for form in FORMS.values()))
    operations = {"add", "sub", "and", "or", "xor", "xchg", "cmpxchg"}
    documented = set(re.findall(r"^``(\w+)`` {2,}", instructions.__doc__ or "", re.M))
    assert words - operations <= documented


#: Files that put names of numeric operations together, or take them apart: there, the parts are the meaning.
BY_NAME = ("execution/numerics/", "execution/interpreter/shadow_rules.py", "campaign/rules.py", "text/", "script/")


def test_properties_are_never_guessed_from_names() -> None:
    """What an instruction does stands in the table of forms; nobody looks for it in mnemonics."""
    guess = re.compile(r"""mnemonic\.(?:starts|ends)with\(|["'][^"']*["'] (?:not )?in (?:\w+\.)*mnemonic\b""")
    root = Path(instructions.__file__).parent.parent
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        if not path.relative_to(root).as_posix().startswith(BY_NAME)
        for line in path.read_text(encoding="utf-8").splitlines()
        if guess.search(line)
    ]
    assert not found


def test_every_instruction_whose_type_follows_from_its_immediates_is_drawn() -> None:
    """By the strategies: as an effect, or where a value of some type is wanted."""
    assert set(TYPED) == {*EFFECTS, *chain.from_iterable(LEAVING.values())}
