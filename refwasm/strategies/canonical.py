"""NaNs made canonical: behind each instruction that may make one, so that nothing is left open by it (4.3.3)."""

from __future__ import annotations

from refwasm.execution.interpreter.shadow_rules import arithmetic_lanes
from refwasm.execution.numerics.floats import CANONICAL_NAN
from refwasm.strategies.leaves import constant
from refwasm.syntax.instructions import PLAIN, Instr, instr
from refwasm.syntax.modules import Func
from refwasm.syntax.types import NUM_TYPES, NumType


def canonicalised(func: Func, params: int) -> Func:
    """The function, whose float arithmetic gives no other NaN than the positive canonical one."""
    declared = params + sum(count for count, _ in func.locals)
    added: dict[NumType, int] = {}
    body: list[Instr] = []
    for instruction in func.body:
        body.append(instruction)
        lanes = arithmetic_lanes(instruction.form.mnemonic)
        if lanes is not None:
            results = instruction.form.results
            assert results is not None and isinstance(results[0], NumType)
            index = added.setdefault(results[0], declared + len(added))
            body += _replaced(results[0], lanes[0], index)
    locals = (*func.locals, *((1, t) for t in added))
    return Func(func.type, locals, tuple(body))


def _replaced(t: NumType, lane: int, local: int) -> list[Instr]:
    """The value on the stack, with canonical NaNs in the place of others; what is no NaN equals itself."""
    get = instr("local.get", local)
    nan = CANONICAL_NAN[lane]
    every = sum(nan << shift for shift in range(0, t.bits, lane))
    equal, choose = ("f32x4.eq" if lane == 32 else "f64x2.eq"), "v128.bitselect"
    if t is not NUM_TYPES["v128"]:
        equal, choose = f"{t.name}.eq", "select"
    return [instr("local.tee", local), constant(t, every), get, get, PLAIN[equal], PLAIN[choose]]
