"""Control instructions (specification 4.6.3 to 4.6.5): jumps need no search, the side table knows what they drop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refwasm.errors import Exhaustion, NotYet, Trap, UncaughtException
from refwasm.execution.interpreter.agent import Paused
from refwasm.execution.interpreter.code import Code, code_of
from refwasm.execution.interpreter.exceptions import throw
from refwasm.execution.interpreter.meaning import Op, meaning
from refwasm.execution.interpreter.pausing import before_host_call
from refwasm.execution.store import AnyFunc, HostFunc, Store
from refwasm.execution.tables import function_at
from refwasm.execution.values import is_of_heap
from refwasm.syntax.instructions import Instr
from refwasm.syntax.types import RefType
from refwasm.validation.stacks import END_OF_TRY, Branch

EXHAUSTED = "call stack exhausted"


@meaning("unreachable")
def _unreachable(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    def op(t: Any, s: list[Any]) -> Any:
        raise Trap("unreachable")

    return op


@meaning("nop", "block", "else")
def _structure(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return following


@meaning("loop")
def _loop(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return following if code.head is None else code.head(pc, following)


@meaning("end")
def _end(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    if code.side.get(pc) is not END_OF_TRY:
        return following

    def op(t: Any, s: list[Any]) -> Any:
        t.handlers.pop()
        return following

    return op


@meaning("if")
def _if(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    ops, arrive, then, otherwise = code.ops, code.arrive, pc + 1, code.side[pc].pc
    return lambda t, s: (ops[then] or arrive(then)) if s.pop() else (ops[otherwise] or arrive(otherwise))


# ---- branches -------------------------------------------------------------------------------------------------------


def unwinder(branch: Branch) -> Callable[[Any, list[Any]], None] | None:
    """What a branch does to the stacks before it jumps, or None if nothing."""
    arity, drop, tries = branch.arity, branch.drop, branch.tries
    if not drop and not tries:
        return None

    def unwind(t: Any, s: list[Any]) -> None:
        if drop:
            del s[len(s) - drop - arity : len(s) - arity]
        if tries:
            del t.handlers[-tries:]

    return unwind


def jump(code: Code, branch: Branch) -> Op:
    """A closure that takes a branch."""
    unwind, target, ops, arrive = unwinder(branch), branch.label.pc, code.ops, code.arrive
    if unwind is None:
        return lambda t, s: ops[target] or arrive(target)

    def op(t: Any, s: list[Any]) -> Any:
        unwind(t, s)
        return ops[target] or arrive(target)

    return op


@meaning("br")
def _br(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return jump(code, code.side[pc])


@meaning("br_if")
def _br_if(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    branch: Branch = code.side[pc]
    target, ops, arrive = branch.label.pc, code.ops, code.arrive
    if unwinder(branch) is None:
        return lambda t, s: (ops[target] or arrive(target)) if s.pop() else following
    taken = jump(code, branch)
    return lambda t, s: taken(t, s) if s.pop() else following


@meaning("br_table")
def _br_table(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    made: dict[Branch, Op] = {}
    *jumps, default = [made.setdefault(b, jump(code, b)) for b in code.side[pc]]
    count = len(jumps)

    def op(t: Any, s: list[Any]) -> Any:
        index = s.pop()
        return (jumps[index] if index < count else default)(t, s)

    return op


@meaning("br_on_null")
def _br_on_null(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    taken = jump(code, code.side[pc])

    def op(t: Any, s: list[Any]) -> Any:
        if s[-1] is None:
            s.pop()
            return taken(t, s)
        return following

    return op


@meaning("br_on_non_null")
def _br_on_non_null(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    taken = jump(code, code.side[pc])

    def op(t: Any, s: list[Any]) -> Any:
        if s[-1] is None:
            s.pop()
            return following
        return taken(t, s)

    return op


@meaning("br_on_cast", "br_on_cast_fail")
def _br_on_cast(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    target: RefType = code.instance.validated.space.ref(instr.args[2])
    on_success = instr.form.mnemonic == "br_on_cast"
    taken = jump(code, code.side[pc])
    nullable, heap = target.nullable, target.heap

    def op(t: Any, s: list[Any]) -> Any:
        value = s[-1]
        succeeds = nullable if value is None else is_of_heap(value, heap)
        return taken(t, s) if succeeds is on_success else following

    return op


@meaning("return")
def _return(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return jump(code, code.side[pc])


# ---- calls ----------------------------------------------------------------------------------------------------------


#: Calls of functions with more locals than this also look at the locals of all frames together …
HEAVY = 64
#: … which may not be more than this, about 100 MB.
MAX_STACK_LOCALS = 10_000_000


def too_many_locals(frames: list[Any]) -> bool:
    """Whether the frames hold too many locals; looked at now and then only, at depths no recursion can step around."""
    return len(frames) % 251 == 0 and sum(len(frame[1]) for frame in frames) > MAX_STACK_LOCALS


def call_wasm(code: Code, callee: Code, pc: int, following: Op) -> Op:
    """A closure that calls a WebAssembly function, for the instruction at ``pc``."""
    arity, zeros, limit = callee.arity, callee.zeros, code.store.settings.call_depth
    if arity == 1 and not zeros:

        def unary(t: Any, s: list[Any]) -> Any:
            frames = t.frames
            if len(frames) >= limit:
                raise Exhaustion(EXHAUSTED)
            frames.append((following, t.locals, callee, pc))
            t.locals = [s.pop()]
            return callee.entry

        return unary

    heavy = len(zeros) > HEAVY

    def op(t: Any, s: list[Any]) -> Any:
        frames = t.frames
        if len(frames) >= limit or (heavy and too_many_locals(frames)):
            raise Exhaustion(EXHAUSTED)
        frames.append((following, t.locals, callee, pc))
        if arity:
            t.locals = s[-arity:] + zeros
            del s[-arity:]
        else:
            t.locals = zeros[:]
        return callee.entry

    return op


def call_host(store: Store, func: HostFunc, following: Op) -> Op:
    """A closure that calls a host function; an exception that comes out of it is thrown here. A call may take long:
    the limits are looked at behind it."""
    arity, function, settings = len(func.signature.params), func.function, store.settings

    def op(t: Any, s: list[Any]) -> Any:
        first = len(s) - arity
        args = s[first:]
        del s[first:]
        try:
            s += function(*args)
        except UncaughtException as error:
            if error.exception is None:
                raise
            return throw(t, s, error.exception)
        except NotYet:
            s += args
            t.pc = op
            raise Paused from None
        except RecursionError:  # the embedder was deep in Python already
            raise Exhaustion(EXHAUSTED) from None
        if settings.deadline is not None:
            settings.check()
        return following

    return before_host_call(store, func, op)


def call_any(code: Code, func: AnyFunc, pc: int, following: Op) -> Op:
    """A closure that calls a function."""
    if isinstance(func, HostFunc):
        return call_host(code.store, func, following)
    return call_wasm(code, code_of(func), pc, following)


@meaning("call")
def _call(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return call_any(code, code.instance.funcs[instr.args[0]], pc, following)


class _Callers(dict[AnyFunc, Op]):
    """Call closures of one call site by the function that is called."""

    def __init__(self, make: Callable[[AnyFunc], Op]) -> None:
        self.make = make

    def __missing__(self, func: AnyFunc) -> Op:
        op = self[func] = self.make(func)
        return op


def _from_table(code: Code, instr: Instr) -> Callable[[Any, list[Any]], AnyFunc]:
    """Pops an index and finds the function."""
    type_index, table_index = instr.args
    table, wanted = code.instance.tables[table_index], code.instance.types[type_index]

    return lambda t, s: function_at(table, wanted, s.pop())


def _from_stack(code: Code, instr: Instr) -> Callable[[Any, list[Any]], AnyFunc]:
    def find(t: Any, s: list[Any]) -> AnyFunc:
        func: AnyFunc | None = s.pop()
        if func is None:
            raise Trap("null function reference")
        return func

    return find


@meaning("call_indirect")
def _call_indirect(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    find, callers = _from_table(code, instr), _Callers(lambda func: call_any(code, func, pc, following))
    return lambda t, s: callers[find(t, s)](t, s)


@meaning("call_ref")
def _call_ref(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    find, callers = _from_stack(code, instr), _Callers(lambda func: call_any(code, func, pc, following))
    return lambda t, s: callers[find(t, s)](t, s)


# ---- tail calls -----------------------------------------------------------------------------------------------------


def _tail(code: Code, branch: Branch, func: AnyFunc) -> Op:
    """A closure that replaces the current frame by a call."""
    unwind = unwinder(branch)
    if isinstance(func, HostFunc):

        def return_to_caller(t: Any, s: list[Any]) -> Any:
            following, t.locals, _, _ = t.frames.pop()
            return following

        host = call_host(code.store, func, return_to_caller)

        def host_op(t: Any, s: list[Any]) -> Any:
            if unwind is not None:
                unwind(t, s)
            return host(t, s)

        return host_op
    callee = code_of(func)
    arity, zeros = callee.arity, callee.zeros

    def op(t: Any, s: list[Any]) -> Any:
        if unwind is not None:
            unwind(t, s)
        following, saved, _, called_at = t.frames[-1]
        t.frames[-1] = (following, saved, callee, called_at)
        first = len(s) - arity
        t.locals = s[first:] + zeros
        del s[first:]
        return callee.entry

    return op


@meaning("return_call")
def _return_call(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    return _tail(code, code.side[pc], code.instance.funcs[instr.args[0]])


@meaning("return_call_indirect")
def _return_call_indirect(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    branch = code.side[pc]
    find, callers = _from_table(code, instr), _Callers(lambda func: _tail(code, branch, func))
    return lambda t, s: callers[find(t, s)](t, s)


@meaning("return_call_ref")
def _return_call_ref(code: Code, instr: Instr, pc: int, following: Op) -> Op:
    branch = code.side[pc]
    find, callers = _from_stack(code, instr), _Callers(lambda func: _tail(code, branch, func))
    return lambda t, s: callers[find(t, s)](t, s)
