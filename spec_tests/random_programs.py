"""Random programs of the kind that people write: counted loops over arrays, accumulators, switches, floats.

Everything that a compiler likes to make faster occurs, at the edges where it may go wrong: counters that start near
the end of their range, strides that do not divide the distance, addresses that are not aligned or out of bounds, values
that change their sign. Programs nearly always end soon.
"""

from __future__ import annotations

import random

EDGES = {
    "i32": (0, 1, 2, 3, 4, 7, 8, 31, 255, 256, 65532, 65535, 65536, 0x0FFFFFFF, 0x10000000, 0x7FFFFFFF, 0x80000000,
            0xFFFFFFF0, 0xFFFFFFFC, 0xFFFFFFFF),
    "i64": (0, 1, 2, 5, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 60) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
    "f32": ("0", "-0", "1", "-1.5", "0x1p-149", "3.4e38", "inf", "-inf", "nan", "nan:0x200000", "-nan", "16777217",
            "0.1"),
    "f64": ("0", "-0", "1", "-1.5", "0x1p-1074", "1.7e308", "inf", "-inf", "nan", "nan:0x4000000000000", "-nan", "0.1"),
}  # fmt: skip
TYPES = ("i32", "i64", "f32", "f64")
_INTEGER = ("add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr", "div_s", "div_u", "rem_s",
            "rem_u")  # fmt: skip
_FLOAT = ("add", "sub", "mul", "div", "min", "max", "copysign")
_RELATIONS = {"i": ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"),
              "f": ("eq", "ne", "lt", "gt", "le", "ge")}  # fmt: skip
_UNARY = {
    "i32": (("clz", "i32"), ("ctz", "i32"), ("popcnt", "i32"), ("extend8_s", "i32"), ("extend16_s", "i32"),
            ("wrap_i64", "i64"), ("reinterpret_f32", "f32"), ("trunc_sat_f32_s", "f32"), ("trunc_sat_f64_u", "f64")),
    "i64": (("clz", "i64"), ("extend32_s", "i64"), ("extend8_s", "i64"), ("extend_i32_s", "i32"),
            ("extend_i32_u", "i32"), ("reinterpret_f64", "f64"), ("trunc_sat_f64_s", "f64"), ("popcnt", "i64")),
    "f32": (("neg", "f32"), ("abs", "f32"), ("sqrt", "f32"), ("floor", "f32"), ("nearest", "f32"),
            ("convert_i32_s", "i32"), ("convert_i32_u", "i32"), ("convert_i64_s", "i64"), ("demote_f64", "f64"),
            ("reinterpret_i32", "i32")),
    "f64": (("neg", "f64"), ("abs", "f64"), ("sqrt", "f64"), ("ceil", "f64"), ("trunc", "f64"),
            ("convert_i32_s", "i32"), ("convert_i64_u", "i64"), ("promote_f32", "f32"), ("reinterpret_i64", "i64")),
}  # fmt: skip
_LOADS = {
    "i32": (("load", 4), ("load8_u", 1), ("load8_s", 1), ("load16_u", 2), ("load16_s", 2)),
    "i64": (("load", 8), ("load32_s", 4), ("load32_u", 4), ("load8_s", 1)),
    "f32": (("load", 4),),
    "f64": (("load", 8),),
}
_STORES = {"i32": ("store", "store8", "store16"), "i64": ("store", "store32"), "f32": ("store",), "f64": ("store",)}
#: Parameters of every function: two numbers of each type.
PARAMS = ("i32", "i32", "i64", "f32", "f64")


class Program:
    """One module: ``f0`` and ``f1`` are exported, with :data:`PARAMS`; results vary."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.locals: list[str] = []
        self.counters: set[int] = set()  # locals that only their loop changes
        self.depth = 0
        self.labels = 0
        self.open: list[str] = []  # labels of blocks without results that are open
        self.function = 0

    def text(self) -> str:
        """The text format."""
        functions = [self._function(index) for index in range(2)]
        return f"""(module
  (memory (export "m") 1 3) (global $g (mut i32) (i32.const 5)) (global $h (mut f64) (f64.const 1))
  (table funcref (elem $f0 $f1)) (type $t (func (param {" ".join(PARAMS)}) (result i32)))
  {" ".join(functions)})"""

    def _function(self, index: int) -> str:
        self.function = index
        self.locals = [*PARAMS, *self.r.choices(TYPES, (5, 2, 2, 2), k=self.r.randrange(3, 9))]
        self.counters = set()
        result = "i32" if index == 0 else self.r.choice(TYPES)
        body = self._statements(self.r.randrange(2, 7))
        value = self._expression(result, 3)
        return (
            f'(func $f{index} (export "f{index}") (param {" ".join(PARAMS)}) (result {result})'
            f" (local {' '.join(self.locals[len(PARAMS) :])})\n {body}\n {value})"
        )

    # ---- statements --------------------------------------------------------------------------------------------------

    def _statements(self, count: int) -> str:
        return "\n ".join(self._statement() for _ in range(count))

    def _statement(self) -> str:
        kinds = [
            (self._assign, 6),
            (self._store, 3),
            (self._if, 2),
            (self._accumulate, 2),
            (self._global, 1),
            (self._grow, 0.1),
        ]
        if self.open:
            kinds.append((self._leave, 0.7))
        if self.depth < 3:
            kinds += [(self._loop, 3), (self._switch, 1), (self._block, 1)]
        if self.function == 1:
            kinds.append((self._call, 0.7))
        return self.r.choices([k for k, _ in kinds], [w for _, w in kinds])[0]()

    def _free_local(self, type: str | None = None) -> int | None:
        found = [i for i, t in enumerate(self.locals) if i not in self.counters and type in (None, t)]
        return self.r.choice(found) if found else None

    def _assign(self) -> str:
        index = self._free_local()
        if index is None:
            return "(nop)"
        return f"(local.set {index} {self._expression(self.locals[index], 3)})"

    def _accumulate(self) -> str:
        index = self._free_local()
        if index is None:
            return "(nop)"
        t = self.locals[index]
        operation = f"{t}.{self.r.choice(('add', 'add', 'sub', 'mul'))}"
        return f"(local.set {index} ({operation} (local.get {index}) {self._expression(t, 2)}))"

    def _store(self) -> str:
        if self.r.random() < 0.1:
            return f"(v128.store {self._offset()} {self._address()} {self._vector()})"
        t = self.r.choice(TYPES)
        return f"({t}.{self.r.choice(_STORES[t])} {self._offset()} {self._address()} {self._expression(t, 2)})"

    def _global(self) -> str:
        if self.r.random() < 0.5:
            return f"(global.set $g {self._expression('i32', 2)})"
        return f"(global.set $h {self._expression('f64', 2)})"

    def _grow(self) -> str:
        return "(drop (memory.grow (i32.const 1)))"

    def _leave(self) -> str:
        """Out of a block, perhaps through loops and switches."""
        label = self.r.choice(self.open)
        if self.r.random() < 0.8:
            return f"(br_if {label} {self._condition()})"
        targets = " ".join(self.r.choices(self.open, k=self.r.randrange(1, 4)))
        return f"(if {self._condition()} (then (br_table {targets} {self._expression('i32', 1)})))"

    def _call(self) -> str:
        arguments = " ".join(self._expression(t, 1) for t in PARAMS)
        if self.r.random() < 0.5:
            return f"(global.set $g (call $f0 {arguments}))"
        return f"(global.set $g (call_indirect (type $t) {arguments} (i32.const {self.r.choice((0, 0, 0, 1, 2))})))"

    def _if(self) -> str:
        self.depth += 1
        then, otherwise = self._statements(self.r.randrange(1, 3)), ""
        if self.r.random() < 0.5:
            otherwise = f"(else {self._statements(self.r.randrange(1, 3))})"
        self.depth -= 1
        return f"(if {self._condition()} (then {then}) {otherwise})"

    def _block(self) -> str:
        """A block that conditions leave, at its own level and from further inside."""
        self.depth += 1
        label = self._label()
        self.open.append(label)
        inner = [self._statement() for _ in range(self.r.randrange(1, 4))]
        for _ in range(self.r.randrange(1, 3)):
            way_out = f"(br_if {label} {self._condition()})"
            if self.r.random() < 0.3:
                way_out = f"(if {self._condition()} (then {self._statement()} (br {label})))"
            inner.insert(self.r.randrange(len(inner) + 1), way_out)
        self.depth -= 1
        self.open.pop()
        return f"(block {label} {' '.join(inner)})"

    def _switch(self) -> str:
        self.depth += 1
        labels = [self._label() for _ in range(self.r.choice((2, 4, 6)))]
        targets = " ".join(self.r.choices(labels, k=self.r.randrange(2, 9)))
        text = f"(br_table {targets} {self._expression('i32', 1)})"
        self.open += reversed(labels)
        for label in labels:
            self.open.pop()
            leaving = f"(br {labels[-1]})" if self.r.random() < 0.6 and label is not labels[-1] else ""
            text = f"(block {label} {text}) {self._statement()} {leaving}"
        self.depth -= 1
        return f"(block {labels[-1]} {text})" if "br " + labels[-1] in text else text

    def _label(self) -> str:
        self.labels += 1
        return f"$l{self.labels}"

    def _loop(self) -> str:
        counter = self._free_local(self.r.choice(("i32", "i32", "i32", "i64")))
        if counter is None:
            return "(nop)"
        self.depth += 1
        self.counters.add(counter)
        t, r = self.locals[counter], self.r
        step = r.choice((1, 1, 1, 1, 1, 2, 2, 3, 4, 4, 8, 16, 0 if r.random() < 0.2 else 1))
        down = r.random() < 0.3
        length = f"({t}.const {r.randrange(1, 6) * r.choice((1, step))})"
        if r.random() < 0.4:
            length = f"({t}.and {self._expression(t, 1)} ({t}.const 7))"
        start = f"({t}.const {r.choice((0, 0, 0, 1, 64, 65520, *EDGES[t]))})"
        if r.random() < 0.3:
            start = self._expression(t, 1)
        bound = f"(local.get {self._bound(t, counter)})"
        setting = f"(local.set {counter} {start})"
        stepping = f"({t}.{'sub' if down else 'add'} (local.get {counter}) ({t}.const {step}))"
        if down and r.random() < 0.6:
            setting, bound = f"(local.set {counter} {length})", f"({t}.const 0)"
        elif bound != "(local.get -1)":
            distance = f"({t}.{'sub' if down else 'add'} (local.get {counter}) {length})"
            setting += f" (local.set {bound[11:-1]} {distance})"
        else:
            bound = f"({t}.const {r.randrange(20)})"
            setting = f"(local.set {counter} ({t}.const {r.randrange(20)}))"
        relation = r.choice(("ne", "gt_u", "gt_s") if down else ("ne", "lt_u", "lt_s", "lt_u"))
        label, out = self._label(), self._label()
        self.open.append(out)
        body = self._statements(r.randrange(1, 5))
        if r.random() < 0.3:
            body += f" (br_if {out} {self._condition()}) {self._statement()}"
        form = r.random()
        if form < 0.1:
            other = f"(else {self._statement()})" if r.random() < 0.7 else ""
            test = f"({t}.{relation} (local.tee {counter} {stepping}) {bound})"
            loop = f"(loop {label} {body} (if {test} (then {self._statement()} (br {label})) {other}))"
        elif form < 0.4:
            again = f"(br_if {label} ({t}.{relation} (local.tee {counter} {stepping}) {bound}))"
            loop = f"(loop {label} {body} {again})"
        elif form < 0.6:
            again = f"(local.set {counter} {stepping}) (br_if {label} ({t}.{relation} (local.get {counter}) {bound}))"
            loop = f"(loop {label} {body} {again})"
        else:
            leaves = {"ne": "eq", "gt_u": "le_u", "gt_s": "le_s", "lt_u": "ge_u", "lt_s": "ge_s"}[relation]
            test = f"(br_if {out} ({t}.{leaves} (local.get {counter}) {bound}))"
            loop = f"(loop {label} {test} {body} (local.set {counter} {stepping}) (br {label}))"
        self.depth -= 1
        self.open.pop()
        self.counters.discard(counter)
        if bound.startswith("(local.get"):
            self.counters.discard(int(bound[11:-1]))
        return f"{setting} (block {out} {loop})"

    def _bound(self, t: str, counter: int) -> int:
        found = [i for i, other in enumerate(self.locals) if other == t and i not in self.counters and i != counter]
        if not found:
            return -1
        index = self.r.choice(found)
        self.counters.add(index)
        return index

    def _value_block(self, t: str, depth: int) -> str:
        """An expression in a block or a loop, with parameters and ways out that carry values."""
        r = self.r
        label, given = self._label(), r.choice(TYPES)
        args, taken = self._expression(given, depth), f"(param {given})"
        if (found := self._free_local(given)) is not None:
            first = f"(local.set {found})"
        else:
            first = "drop"
        if r.random() < 0.5 and self.depth < 3:
            first += " " + self._statement()
        value = self._expression(t, depth)
        if r.random() < 0.3:
            return f"{args} (loop {label} {taken} (result {t}) {first} {value})"
        leave = f"(br_if {label} {value} {self._condition()}) drop {self._expression(t, 1)}"
        if r.random() < 0.3:
            leave = f"(br_table {label} {label} {value} {self._expression('i32', 1)})"
        return f"{args} (block {label} {taken} (result {t}) {first} {leave})"

    # ---- expressions -------------------------------------------------------------------------------------------------

    def _offset(self) -> str:
        return self.r.choice(("", "", "offset=4", "offset=1", "offset=8", "offset=600", "offset=65520"))

    def _address(self) -> str:
        r = self.r
        index = self._some_local("i32")
        if index is None or r.random() < 0.05:
            return self._expression("i32", 1)
        if r.random() < 0.1:  # what stands in memory is an address
            masked = (
                f"(i32.and (i32.load {self._offset()} {self._address()}) (i32.const {r.choice((255, 252, 65535))}))"
            )
            return masked if r.random() < 0.6 else f"(i32.add {masked} (local.get {index}))"
        if index not in self.counters and r.random() < 0.7:
            return f"(i32.and {self._expression('i32', 1)} (i32.const {r.choice((255, 252, 65535, 65528, 32764))}))"
        scaled = f"({r.choice(('i32.shl', 'i32.mul'))} (local.get {index}) (i32.const {r.choice((1, 2, 3, 4, 8))}))"
        form = r.random()
        if form < 0.35:
            return f"(local.get {index})"
        if form < 0.6:
            return f"(i32.add (i32.const {r.choice((0, 4, 64, 1000, 1002, 65000))}) {scaled})"
        if form < 0.8:
            return f"(i32.add (local.get {self._some_local('i32')}) {scaled})"
        return f"(i32.and {self._expression('i32', 1)} (i32.const {r.choice((255, 252, 65535, 65528))}))"

    def _some_local(self, t: str) -> int | None:
        found = [i for i, other in enumerate(self.locals) if other == t]
        counting = [i for i in found if i in self.counters]
        if counting and self.r.random() < 0.6:
            return self.r.choice(counting)
        return self.r.choice(found) if found else None

    def _condition(self) -> str:
        t = self.r.choice(TYPES)
        if self.r.random() < 0.2:
            return f"(i32.eqz {self._expression('i32', 1)})"
        return f"({t}.{self.r.choice(_RELATIONS[t[0]])} {self._expression(t, 1)} {self._expression(t, 1)})"

    def _vector(self, depth: int = 1) -> str:
        """Lanes of sums, and what stands in memory."""
        shape, t = self.r.choice((("i32x4", "i32"), ("f32x4", "f32"), ("i64x2", "i64"), ("f64x2", "f64")))
        form = self.r.random()
        if depth <= 0 or form < 0.2:
            return f"(v128.load {self._offset()} {self._address()})"
        if form < 0.5:
            return f"({shape}.splat {self._expression(t, depth)})"
        inner = self._vector(depth - 1)
        if form < 0.75:
            return f"({shape}.replace_lane {self.r.randrange(2)} {inner} {self._expression(t, depth)})"
        operation = self.r.choice(("add", "sub", "mul"))
        return f"({shape}.{operation} {inner} {self._vector(depth - 1)})"

    def _constant(self, t: str) -> str:
        value = self.r.choice(EDGES[t])
        if t[0] == "i" and self.r.random() < 0.5:
            value = self.r.randrange(20)
        return f"({t}.const {value})"

    def _expression(self, t: str, depth: int) -> str:
        r = self.r
        index = self._some_local(t)
        if depth <= 0 or r.random() < 0.25:
            return f"(local.get {index})" if index is not None and r.random() < 0.7 else self._constant(t)
        form = r.random()
        if form < 0.45:
            name = r.choices(_INTEGER if t[0] == "i" else _FLOAT, k=1)[0]
            if name[:3] in ("div", "rem") and t[0] == "i" and r.random() < 0.8:
                name = "add"
            return f"({t}.{name} {self._expression(t, depth - 1)} {self._expression(t, depth - 1)})"
        if form < 0.6:
            name, source = r.choice(_UNARY[t])
            return f"({t}.{name} {self._expression(source, depth - 1)})"
        if form < 0.8:
            name, _ = r.choice(_LOADS[t])
            return f"({t}.{name} {self._offset()} {self._address()})"
        if form < 0.86:
            return f"(select {self._expression(t, depth - 1)} {self._expression(t, depth - 1)} {self._condition()})"
        if form < 0.9 and (found := self._free_local(t)) is not None:
            return f"(local.tee {found} {self._expression(t, depth - 1)})"
        if form < 0.95 and t == "i32":
            return self.r.choice((self._condition(), "(global.get $g)", "(memory.size)"))
        if form < 0.93:
            return (
                f"(if (result {t}) {self._condition()} (then {self._expression(t, 1)}) (else {self._expression(t, 1)}))"
            )
        if form < 0.96:
            return self._value_block(t, depth - 1)
        if form < 0.98:
            return f"({t}x{128 // int(t[1:])}.extract_lane {r.randrange(2)} {self._vector()})"
        return "(global.get $h)" if t == "f64" else self._constant(t)
