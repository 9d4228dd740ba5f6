"""Every atomic access, in every width: at the last aligned place, beyond it, unaligned; and what it does."""

from __future__ import annotations

import pytest

from refwasm import Instance, Module, Trap
from refwasm.syntax.instructions import FORMS

PAGE = 65536
ACCESSES = [name for name, form in FORMS.items() if form.prefix == 0xFE and form.width and "wait" not in name]


def exported(name: str, memory: str = "1 1 shared", offset: int = 0) -> Instance:
    form = FORMS[name]
    assert form.params is not None and form.results is not None
    params = " ".join(["i32", *(t.name for t in form.params)])
    results = " ".join(t.name for t in form.results)
    operands = " ".join(f"(local.get {i})" for i in range(len(form.params) + 1))
    return Instance(
        Module(
            f'(module (memory (export "m") {memory}) (func (export "f") (param {params}) (result {results}) '
            f"({name} offset={offset} {operands})))"
        )
    )


@pytest.mark.parametrize("memory", ["1 1 shared", "1"])
@pytest.mark.parametrize("name", ACCESSES)
def test_bounds_and_alignment(name: str, memory: str) -> None:
    form = FORMS[name]
    operands = [0] * len(form.params or ())
    for offset in (0, form.width):
        f = exported(name, memory, offset).exports.f
        f(PAGE - form.width - offset, *operands)
        for address in (PAGE - offset, 0xFFFFFFFF // form.width * form.width):
            with pytest.raises(Trap, match="out of bounds memory access"):
                f(address, *operands)
        for address in range(1, form.width):
            with pytest.raises(Trap, match="unaligned atomic"):
                f(address, *operands)


OPERATIONS = {
    "add": lambda old, x: old + x, "sub": lambda old, x: old - x, "and": lambda old, x: old & x,
    "or": lambda old, x: old | x, "xor": lambda old, x: old ^ x, "xchg": lambda old, x: x,
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in ACCESSES if ".rmw" in name])
def test_read_modify_write(name: str) -> None:
    form = FORMS[name]
    mask = (1 << 8 * form.width) - 1
    instance = exported(name)
    old, operand = 0xF1E2D3C4B5A69788 & mask, 0x0123456789ABCDEF & (1 << int(name[1:3])) - 1
    for expected in (old, old ^ 1) if "cmpxchg" in name else (0,):
        instance.exports.m.write(8, old.to_bytes(8, "little"))
        args = (expected, operand) if "cmpxchg" in name else (operand,)
        assert instance.exports.f.bits(8, *args) == (old,)
        stored = int.from_bytes(instance.exports.m.read(8, form.width), "little")
        if "cmpxchg" in name:
            assert stored == (operand & mask if expected == old else old)
        else:
            assert stored == OPERATIONS[name.split(".")[3].removesuffix("_u")](old, operand) & mask
        assert instance.exports.m.read(8 + form.width, 8)[: 8 - form.width] == bytes(8 - form.width)
