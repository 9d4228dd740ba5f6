"""A decoder written in another library: pwasm's reads what refwasm's strategies make of WebAssembly 1.0, and refuses
what is no module, but for what is known of it."""

import pwasm
import pytest
from hypothesis import assume, given

from refwasm.strategies import DrawnModule, Malformed, malformed_modules, modules

#: What pwasm 0.2a0 takes for a module, found by the test below. It decodes bodies when they are first called.
KNOWN = {
    "function: no end", "global: unknown mutability", "instruction: unknown opcode",
    "integer: longer than its type allows", "name: not UTF-8", "section: it comes twice or too late",
}  # fmt: skip


@given(modules(features="1.0"))
def test_it_reads_what_is_there(module: DrawnModule) -> None:
    decoded = pwasm.decode_module(module.bytes)
    assert [x.name for x in decoded.exports] == [x.name for x in module.module.exports]


@given(malformed_modules(features="1.0"))
def test_it_refuses_what_is_no_module(malformed: Malformed) -> None:
    assume(malformed.rule not in KNOWN)
    with pytest.raises(pwasm.DecodeError):
        pwasm.decode_module(malformed.source)
