"""What generated code calls: traps, floats, tables, other functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, NoReturn

from refwasm.errors import ResourceLimit, Trap, UncaughtException
from refwasm.execution.memory import Memory
from refwasm.execution.numerics.floats import CANONICAL_NAN
from refwasm.execution.store import AnyFunc, HostFunc, Settings, TableInst
from refwasm.execution.tables import function_at
from refwasm.execution.values import ExnInst, check_descriptor, is_described_by, is_of_heap
from refwasm.syntax.types import DefType, FuncType, HeapType, NumType, ValType

Function = Callable[..., Any]

#: Tail calls with more arguments take C stack.
MAX_TAIL_ARGS = 16

# ---- traps -----------------------------------------------------------------------------------------------------------


def unreachable() -> NoReturn:
    raise Trap("unreachable")


def divide_by_zero() -> NoReturn:
    raise Trap("integer divide by zero")


def all_consumed() -> NoReturn:
    raise ResourceLimit("all fuel consumed")


def out_of_bounds(error: IndexError) -> Exception:
    """The trap for an access that a view refused in the frame that asks; any other ``error`` is a host function's."""
    assert error.__traceback__ is not None
    if error.__traceback__.tb_next is not None:
        return error
    trap = Trap("out of bounds memory access")
    trap.__cause__ = error
    return trap


# ---- floats: Python's, where any NaN of an f32 has the payload of the f32 in its upper bits --------------------------

_F32, _U32, _F64, _U64 = Struct("<f"), Struct("<I"), Struct("<d"), Struct("<Q")
NAN, INF = _F64.unpack(_U64.pack(CANONICAL_NAN[64]))[0], math.inf
_EXPONENT = 0x7F800000


def f32(bits: int) -> float:
    """The float of a bit pattern; signalling NaNs stay so."""
    if bits & 0x7FFFFFFF > _EXPONENT:
        wide = (bits & 0x80000000) << 32 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        return float(_F64.unpack(_U64.pack(wide))[0])
    return float(_F32.unpack(_U32.pack(bits))[0])


def f64(bits: int) -> float:
    """The float of a bit pattern."""
    return float(_F64.unpack(_U64.pack(bits))[0])


def bits32(x: float) -> int:
    """The bit pattern of a float that f32 has."""
    if x != x:
        wide = bits64(x)
        return (wide >> 32) & 0x80000000 | _EXPONENT | (wide >> 29) & 0x7FFFFF
    return int(_U32.unpack(_F32.pack(x))[0])


def bits64(x: float) -> int:
    """The bit pattern of a float."""
    return int(_U64.unpack(_F64.pack(x))[0])


def canonical32(x: float) -> int:
    """The same where any NaN stands for the canonical one."""
    return bits32(x) if x == x else CANONICAL_NAN[32]


def canonical64(x: float) -> int:
    """The same where any NaN stands for the canonical one."""
    return bits64(x) if x == x else CANONICAL_NAN[64]


def fdiv(x: float, y: float) -> float:
    """Division by zero."""
    return NAN if x == 0.0 or x != x else math.copysign(INF, x) * math.copysign(1.0, y)


def fmin(x: float, y: float) -> float:
    """The smaller; NaN if either is; -0 is smaller than +0."""
    if x == y:
        return x if math.copysign(1.0, x) < 0.0 else y
    return x if x < y else y if y < x else NAN


def fmax(x: float, y: float) -> float:
    """The larger; NaN if either is; +0 is larger than -0."""
    if x == y:
        return y if math.copysign(1.0, x) < 0.0 else x
    return x if x > y else y if y > x else NAN


def _to_integer(function: Callable[[float], int]) -> Callable[[float], float]:
    """A rounding function: what is too large to have a fraction, and NaN, stays; -0.5 becomes -0."""

    def rounded(x: float) -> float:
        if -4503599627370496.0 < x < 4503599627370496.0:
            return math.copysign(function(x), x)
        return x

    return rounded


# ---- calls -----------------------------------------------------------------------------------------------------------


class TailCall:
    """A call that the caller's :func:`trampoline` makes."""

    __slots__ = ("function", "args")

    def __init__(self, function: Function, args: tuple[Any, ...]) -> None:
        self.function = getattr(function, "body", function)
        self.args = args


@cache
def _trampolines(arity: int) -> Callable[[Function], Function]:
    """Makes trampolines for functions with so many parameters. Written out, since ``function(*args)`` takes C stack
    for each level of recursion."""
    args = ", ".join(f"a{i}" for i in range(arity))
    some = range(MAX_TAIL_ARGS + 1)
    calls = [f"  {'if' if n == 0 else 'elif'} n == {n}: r = r.function({', '.join(f'x[{i}]' for i in range(n))})"
             for n in some]  # fmt: skip
    lines = [
        "def make(body):", f" def call({args}):", f"  r = body({args})", "  while type(r) is TailCall:",
        "   x = r.args", "   n = len(x)", *(" " + line for line in calls), "   else: r = r.function(*x)",
        "  return r", " call.body = body", " return call",
    ]  # fmt: skip
    names: dict[str, Any] = {"TailCall": TailCall}
    exec(compile("\n".join(lines), "<function trampoline>", "exec"), names)
    return names["make"]  # type: ignore[no-any-return]


def trampoline(body: Function) -> Function:
    """A function that makes the tail calls of its body, and theirs."""
    return _trampolines(body.__code__.co_argcount)(body)


class Conversion:
    """Between compiled code and everything else: floats are bit patterns there, and results are lists."""

    def __init__(self, params: Sequence[ValType], results: Sequence[ValType]) -> None:
        self.params, self.results = _converters(params, _FROM_BITS), _converters(results, _TO_BITS)
        self.to_params, self.from_results = _converters(params, _TO_BITS), _converters(results, _FROM_BITS)
        #: Whether nothing has to be done to arguments.
        self.plain = not any(self.params)
        self.is_single = len(results) == 1 and not any(self.results)
        #: What a list of results is for compiled code.
        self.result = self._result if any(self.results) else itemgetter(0) if self.is_single else tuple

    def inward(self, args: Sequence[Any]) -> Sequence[Any]:
        """Arguments for compiled code."""
        return [v if f is None else f(v) for f, v in zip(self.params, args)]

    def outward(self, result: Any) -> list[Any]:
        """What compiled code returned, as a list."""
        if not self.results:
            return []
        values = [result] if len(self.results) == 1 else list(result or ())
        return [v if f is None else f(v) for f, v in zip(self.results, values)]

    def _result(self, values: Sequence[Any]) -> Any:
        found = tuple(v if f is None else f(v) for f, v in zip(self.from_results, values))
        return found[0] if len(found) == 1 else found

    def called(self, function: Callable[..., Any]) -> Function:
        """A function of the rest of the world, which takes bit patterns, as compiled code calls it."""
        if not any(self.to_params):
            return function
        return lambda *args: function(*(v if f is None else f(v) for f, v in zip(self.to_params, args)))


@lru_cache(4096)
def conversion_of(t: DefType) -> Conversion:
    """The conversion for functions of a type, made once."""
    assert isinstance(t.composite, FuncType)
    return Conversion(t.composite.params, t.composite.results)


def _converters(types: Sequence[ValType], table: dict[str, Callable[[Any], Any]]) -> list[Callable[[Any], Any] | None]:
    return [table.get(t.name) if isinstance(t, NumType) else None for t in types]


_FROM_BITS: dict[str, Callable[[Any], Any]] = {"f32": f32, "f64": f64}
_TO_BITS: dict[str, Callable[[Any], Any]] = {"f32": bits32, "f64": bits64}


def table_lookup(
    table: TableInst, wanted: DefType, callable_of: Callable[[AnyFunc], Function], is_final: Callable[[AnyFunc], bool]
) -> Callable[[int], Function]:
    """The functions of a table by their index, checked as call_indirect does."""
    known: dict[AnyFunc, Function] = {}

    def found(index: int) -> Function:
        try:
            return known[table.elements[index]]
        except LookupError:
            pass
        func = function_at(table, wanted, index)
        function = callable_of(func)
        if is_final(func):
            known[func] = function
        return function

    return found


def reference(
    callable_of: Callable[[AnyFunc], Function], is_final: Callable[[AnyFunc], bool]
) -> Callable[[AnyFunc | None], Function]:
    """``referred``: the function that a reference means."""
    known: dict[AnyFunc | None, Function] = {}

    def referred(func: AnyFunc | None) -> Function:
        try:
            return known[func]
        except KeyError:
            pass
        if func is None:
            raise Trap("null function reference")
        function = callable_of(func)
        if is_final(func):
            known[func] = function
        return function

    return referred


def host_caller(func: HostFunc, shared: list[Memory], settings: Settings) -> Function:
    """A host function as compiled code calls it. What another process did to shared memories meanwhile is seen
    afterwards, and that time is up."""
    conversion = conversion_of(func.type)
    function, result = func.function, conversion.result

    def call(*args: Any) -> Any:
        try:
            results = function(*args)
        finally:
            for memory in shared:
                memory.refresh()
        if settings.deadline is not None:
            settings.check()
        return result(results)

    return conversion.called(call)


def is_of(target: tuple[bool, HeapType], value: Any) -> bool:
    """Whether a reference is of a type: nullable or not, and its heap type."""
    return target[0] if value is None else is_of_heap(value, target[1])


def is_described(target: tuple[bool, HeapType], value: Any, descriptor: Any) -> bool:
    """Whether a reference is to a structure with that descriptor, or null where that is allowed."""
    return target[0] if value is None else is_described_by(value, descriptor)


# ---- ways out --------------------------------------------------------------------------------------------------------


class SideExit(BaseException):
    """Compiled code got to an instruction that was left to the interpreter. It goes on there, at ``pc``, with these
    operands, and the locals among the ``variables``. No error: nothing that handles errors takes part."""

    def __init__(self, pc: int, variables: dict[str, Any], stack: list[Any]) -> None:
        self.pc, self.variables, self.stack = pc, variables, stack


def side_exit(pc: int, variables: dict[str, Any], stack: list[Any]) -> NoReturn:
    raise SideExit(pc, variables, stack)


# ---- exceptions ------------------------------------------------------------------------------------------------------


def throw(tag: Any, payload: tuple[Any, ...]) -> NoReturn:
    raise UncaughtException(ExnInst(tag, payload), tag, payload)


def throw_ref(exception: Any) -> NoReturn:
    if exception is None:
        raise Trap("null exception reference")
    raise UncaughtException(exception, exception.tag, exception.payload)


def caught(error: UncaughtException) -> Any:
    """The exception that was thrown; what is not WebAssembly's goes on."""
    if error.exception is None:
        raise error
    return error.exception


HELPERS: dict[str, Any] = {
    "unreachable": unreachable, "divide_by_zero": divide_by_zero, "all_consumed": all_consumed,
    "out_of_bounds": out_of_bounds, "f32_of": f32, "f64_of": f64, "bits32": bits32, "bits64": bits64,
    "canonical32": canonical32, "canonical64": canonical64, "NAN": NAN, "INF": INF, "sqrt": math.sqrt,
    "copysign": math.copysign, "fdiv": fdiv, "fmin": fmin, "fmax": fmax, "fceil": _to_integer(math.ceil),
    "ffloor": _to_integer(math.floor), "ftrunc": _to_integer(math.trunc), "fnearest": _to_integer(round),
    "TailCall": TailCall, "is_of": is_of, "is_described": is_described,
    "check_descriptor": check_descriptor, "throw": throw, "throw_ref": throw_ref, "caught": caught,
    "UncaughtException": UncaughtException, "side_exit": side_exit,
}  # fmt: skip
