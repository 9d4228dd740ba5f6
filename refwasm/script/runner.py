"""Runner of scripts. Every assertion counts; a script without commands fails; nothing is skipped.

Scripts with threads run in an interleaved store: commands are generators that yield wherever another thread may go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refwasm import embedding as e
from refwasm.binary import decode, encode
from refwasm.errors import (
    Exhaustion,
    Invalid,
    Malformed,
    Suspension,
    Trap,
    UncaughtException,
    Unlinkable,
    WasmError,
)
from refwasm.execution.choices import AGENT, NAN, RELAXED, WAIT, Choices
from refwasm.host import spectest
from refwasm.script import syntax as s
from refwasm.script.dialects import Dialect, NotApplicable, check_script
from refwasm.script.parser import parse_script
from refwasm.script.patterns import show
from refwasm.syntax.types import FuncType
from refwasm.text import parse_module, print_module
from refwasm.text.lexer import Source
from refwasm.validation.features import ALL

Steps = Generator[None, None, Any]

_OUTCOMES: dict[str, type[WasmError]] = {
    "trap": Trap,
    "exhaustion": Exhaustion,
    "suspension": Suspension,
    "exception": UncaughtException,
    "malformed": Malformed,
    "invalid": Invalid,
    "unlinkable": Unlinkable,
    "malformed_custom": Malformed,
    "invalid_custom": WasmError,
}


class ScriptError(Exception):
    """A command did not do what the script says."""


@dataclass
class Failure:
    """One failed command: where, and what went wrong."""

    file: str
    location: str
    message: str

    def __str__(self) -> str:
        return ":".join(filter(None, (self.file, self.location))) + f": {self.message}"


@dataclass
class Report:
    """What a script did: commands by kind, failures, lines that the guest printed."""

    file: str
    commands: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    not_applicable: str = ""  # why the script was not run

    @property
    def status(self) -> str:
        """``pass``, ``differs`` or ``not applicable``."""
        return "not applicable" if self.not_applicable else "pass" if self.ok else "differs"

    @property
    def passed(self) -> int:
        """Commands that did what they should."""
        return max(sum(self.commands.values()) - len(self.failures), 0)

    @property
    def ok(self) -> bool:
        """Something ran, and nothing failed; or there is a reason why nothing was run."""
        return bool(self.not_applicable) or (not self.failures and bool(self.commands))


#: What scripts leave open: they expect that memories and tables grow, and that calls don't exhaust the stack.
OPEN = (NAN, RELAXED, AGENT, WAIT)


class Scope:
    """The modules that a thread of a script sees."""

    def __init__(self, registered: dict[str, dict[str, e.Extern]]) -> None:
        self.registered = registered
        self.instances: dict[str | None, e.ModuleInst] = {}
        self.definitions: dict[str | None, e.Validated] = {}
        self.threads: dict[str, Any] = {}
        self.agent: Any = None
        self.waits_for: Any = None


@dataclass(frozen=True)
class Options:
    """How to run: seed of the scheduler, tier, features, whether modules must survive both formats, and the dialect if
    it is not the official suite's. ``choices`` makes those of one script, for executions that go other ways than the
    deterministic profile's."""

    seed: int = 0
    choices: Callable[[], Choices] | None = None
    tier: str = "interpret"
    features: frozenset[str] = ALL
    round_trip: bool = False
    settings: Callable[[], e.Settings] = e.Settings
    dialect: Dialect | None = None


class Runner:
    """Runs the commands of one script and fills a :class:`Report`. ``known`` keeps what was parsed and checked for
    another run of the same script."""

    def __init__(
        self, source: Source, file: str, options: Options = Options(), known: dict[object, Any] | None = None
    ) -> None:
        self.source, self.known = source, known
        self.options = options
        self.report = Report(file)
        threaded = "thread" in source.tokens
        choices = None if options.choices is None else options.choices()
        seed = options.seed if threaded else None
        self.store = e.store_init(options.settings(), options.tier, seed, choices, threaded)

    def run(self) -> Report:
        """Run all commands."""
        try:
            commands = self._once("commands", lambda: parse_script(self.source))
        except WasmError as error:
            self.report.failures.append(Failure(self.report.file, error.location, error.message))
            return self.report
        exports = spectest.make(self.store, self.report.output.append)
        self.main = main = Scope({"spectest": exports, **self._engine_functions()})
        steps = self._run_all(main, commands)
        if self.store.interleaved is None:
            for _ in steps:
                pass
        else:
            self.store.interleaved.run_until(self._task(main, steps))
            self.store.interleaved.ending()
        return self.report

    def _engine_functions(self) -> dict[str, dict[str, e.Extern]]:
        """What an engine's own tests import: functions that do nothing that could be seen."""
        found: dict[str, dict[str, e.Extern]] = {}
        for module, name in self.options.dialect.host if self.options.dialect is not None else ():
            found.setdefault(module, {})[name] = e.func_alloc(FuncType((), ()), lambda: (), name)
        return found

    def _task(self, scope: Scope, steps: Steps, label: str = "main") -> Any:
        scheduler = self.store.interleaved

        def advance() -> bool:
            return next(steps, self) is self

        def ready() -> bool:
            if scope.waits_for is not None:
                return bool(scope.waits_for.done)
            return scope.agent is None or scheduler.is_ready(scope.agent)

        return scheduler.add(advance, ready, lambda: scope.agent, label)

    def _run_all(self, scope: Scope, commands: Iterable[s.Command]) -> Steps:
        for command in commands:
            if not self._applies(command):
                continue
            self.report.commands[_kind(command)] += 1
            try:
                yield from _COMMANDS[type(command)](self, scope, command)
            except (ScriptError, WasmError) as error:
                self._fail(command.position, str(error), error)
            except Exception as error:  # a bug of ours must show as a failure, with its place in the script
                self._fail(command.position, f"internal error: {type(error).__name__}: {error}", error)

    def _applies(self, command: s.Command) -> bool:
        """Whether a command is meant for an engine of this dialect."""
        if self.options.dialect is None or self.options.dialect.executes:
            return True
        refused = isinstance(command, s.AssertFailure) and command.kind.partition("_")[0] in ("malformed", "invalid")
        return refused or isinstance(command, s.ModuleCommand)

    def _fail(self, position: int, message: str, error: Exception) -> None:
        prefix = "" if isinstance(error, ScriptError) else f"{type(error).__name__}: "
        self.report.failures.append(Failure(self.report.file, self.source.locate(position), prefix + message))

    # -- modules -----------------------------------------------------------------------------------------------------

    def _once(self, key: object, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, kept for the next run."""
        if self.known is None:
            return make()
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def _load(self, definition: s.Definition) -> Any:
        return definition.load(64 if "memory64" in self.options.features else 32)

    def _validated(self, definition: s.Definition) -> e.Validated:
        module = self._load(definition)
        validated = e.module_validate(module, self.options.features)
        if self.options.round_trip:
            _check_round_trips(module)
        return validated

    def _instantiate(self, scope: Scope, validated: e.Validated) -> e.ModuleInst:
        externs = e.resolve_imports(validated, scope.registered)
        return e.module_instantiate(self.store, validated, externs)

    def module(self, scope: Scope, command: s.ModuleCommand) -> Steps:
        validated = self._once(id(command), lambda: self._validated(command.definition))
        for name in {command.definition.name, None}:
            scope.definitions[name] = validated
        executes = self.options.dialect is None or self.options.dialect.executes
        if executes and not command.only_definition:
            self._add_instance(scope, command.definition.name, validated)
        yield

    def _add_instance(self, scope: Scope, name: str | None, validated: e.Validated) -> None:
        scope.instances.pop(None, None)
        instance = self._instantiate(scope, validated)
        scope.instances[name] = scope.instances[None] = instance
        if self.options.dialect is not None and name is not None:
            scope.registered[name] = instance.exports

    def instance(self, scope: Scope, command: s.InstanceCommand) -> Steps:
        if command.definition not in scope.definitions:
            raise ScriptError(f"unknown module definition ${command.definition}")
        self._add_instance(scope, command.name, scope.definitions[command.definition])
        yield

    def register(self, scope: Scope, command: s.Register) -> Steps:
        scope.registered[command.name] = _find_instance(scope, command.module).exports
        yield

    # -- actions -----------------------------------------------------------------------------------------------------

    def action(self, scope: Scope, action: s.Action) -> Steps:
        """Perform an action; returns the results."""
        instance = _find_instance(scope, action.module)
        item = instance.exports.get(action.name)
        if isinstance(action, s.Get):
            if not isinstance(item, e.GlobalInst):
                raise ScriptError(f"no global is exported as {action.name!r}")
            return [item.value]
        if not isinstance(item, (e.FuncInst, e.HostFunc)):
            raise ScriptError(f"no function is exported as {action.name!r}")
        params = e.func_type(item).params
        if len(params) != len(action.args):
            raise ScriptError(f"{action.name!r} takes {len(params)} arguments, {len(action.args)} are given")
        for value, t in zip(action.args, params):
            if not e.value_has_type(value, t) and not isinstance(value, e.HostRef):
                raise ScriptError(f"{action.name!r}: argument {show(value)} is no {t!r}")
        if self.store.interleaved is None or isinstance(item, e.HostFunc):
            return e.func_invoke(self.store, item, action.args)
        return (yield from self._interleaved(scope, item, action.args))

    def _interleaved(self, scope: Scope, func: e.FuncInst, args: tuple[Any, ...]) -> Steps:
        scheduler = self.store.interleaved
        scope.agent = self.store.tier.agent(func, args)  # type: ignore[attr-defined]
        try:
            while (results := scheduler.advance_agent(scope.agent)) is None:
                yield
            return results
        finally:
            scope.agent = None

    def bare_action(self, scope: Scope, action: s.Action) -> Steps:
        yield from self.action(scope, action)

    # -- assertions --------------------------------------------------------------------------------------------------

    def assert_return(self, scope: Scope, command: s.AssertReturn) -> Steps:
        results = yield from self.action(scope, command.action)
        expected = command.expected
        matches = len(results) == len(expected) and all(p.matches(v) for p, v in zip(expected, results))
        if not matches:
            patterns = [*expected, *[None] * len(results)]
            found = " ".join(show(v, p) for v, p in zip(results, patterns)) or "nothing"
            raise ScriptError(f"expected {' '.join(map(str, expected)) or 'nothing'}, got {found}")

    def assert_failure(self, scope: Scope, command: s.AssertFailure) -> Steps:
        wanted, dialect = _OUTCOMES[command.kind], self.options.dialect
        try:
            found = yield from self._attempt(scope, command)
        except WasmError as error:
            if not isinstance(error, dialect.classes(command.kind, wanted, command.message) if dialect else wanted):
                raise ScriptError(
                    f"expected {command.kind} {command.message!r}, got {type(error).__name__}: {error}"
                ) from error
            says = dialect.says(error, command.kind, command.message) if dialect else _says(error, command.message)
            if not says:
                raise ScriptError(f"expected the message {command.message!r}, got {error.message!r}") from error
            return
        raise ScriptError(f"expected {command.kind} {command.message!r}, got {found}")

    def _attempt(self, scope: Scope, command: s.AssertFailure) -> Steps:
        """Do what should fail, no further than the phase that should fail; returns what happened instead."""
        subject = command.subject
        if not isinstance(subject, s.Definition):
            results = yield from self.action(scope, subject)
            return f"the results {' '.join(map(show, results)) or 'nothing'}"
        if command.kind.startswith("malformed") and self.options.dialect is None:
            self._load(subject)
            return "a well-formed module"
        if command.kind.startswith(("malformed", "invalid")):
            e.module_validate(self._load(subject), self.options.features)
            return "a valid module"
        self._instantiate(scope, self._validated(subject))
        return "an instance"

    # -- threads -----------------------------------------------------------------------------------------------------

    def thread(self, scope: Scope, command: s.Thread) -> Steps:
        own = Scope({"spectest": scope.registered["spectest"]})
        for name in command.shared:
            own.instances[name] = _find_instance(scope, name)
        scope.threads[command.name] = self._task(own, self._run_all(own, command.commands), f"${command.name}")
        yield

    def wait(self, scope: Scope, command: s.Wait) -> Steps:
        if command.thread not in scope.threads:
            raise ScriptError(f"unknown thread ${command.thread}")
        scope.waits_for = scope.threads[command.thread]
        while not scope.waits_for.done:
            yield
        self.store.interleaved.joined(scope.waits_for)
        scope.waits_for = None


def _says(error: WasmError, expected: str) -> bool:
    return error.message.startswith(expected)


def _find_instance(scope: Scope, name: str | None) -> e.ModuleInst:
    if name not in scope.instances:
        raise ScriptError(f"unknown module ${name}" if name else "there is no module")
    return scope.instances[name]


def _check_round_trips(module: Any) -> None:
    """Decoding what was encoded, and parsing what was printed, must give the same module."""
    if decode(encode(module)) != module:
        raise ScriptError("encoding and decoding changed the module")
    if parse_module(print_module(module)) != module:
        raise ScriptError("printing and parsing changed the module")


def _kind(command: s.Command) -> str:
    if isinstance(command, s.AssertFailure):
        return f"assert_{command.kind}"
    return _NAMES[type(command)]


_NAMES: dict[type, str] = {
    s.ModuleCommand: "module", s.InstanceCommand: "module instance", s.Register: "register", s.Invoke: "invoke",
    s.Get: "get", s.AssertReturn: "assert_return", s.Thread: "thread", s.Wait: "wait",
}  # fmt: skip
_COMMANDS: dict[type, Callable[..., Steps]] = {
    s.ModuleCommand: Runner.module,
    s.InstanceCommand: Runner.instance,
    s.Register: Runner.register,
    s.Invoke: Runner.bare_action,
    s.Get: Runner.bare_action,
    s.AssertReturn: Runner.assert_return,
    s.AssertFailure: Runner.assert_failure,
    s.Thread: Runner.thread,
    s.Wait: Runner.wait,
}


def run_script(path: str | Path, options: Options = Options()) -> Report:
    """Run a script file. An unreadable or malformed file is a failure of its report."""
    name = str(path)
    try:
        source = Source(Path(path).read_bytes())
    except OSError as error:
        report = Report(name)
        report.failures.append(Failure(name, "", error.strerror or str(error)))
        return report
    except Malformed as error:
        report = Report(name)
        report.failures.append(Failure(name, error.location, error.message))
        return report
    if options.dialect is not None:
        try:
            check_script(name, source.text)
            options = replace(options, features=options.dialect.features(source.text, options.features))
        except NotApplicable as reason:
            return Report(name, not_applicable=str(reason))
        source.lenient = True
    report = Runner(source, name, options).run()
    if not report.commands and not report.failures:
        report.failures.append(Failure(name, "1:1", "the script has no commands"))
    return report


__all__ = ["Failure", "Options", "Report", "Runner", "ScriptError", "run_script"]
