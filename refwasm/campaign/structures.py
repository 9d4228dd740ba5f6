"""Single instructions that are not numeric: control, variables, tables, memories as a whole, references, aggregates,
exceptions. Each has a small module whose functions take numbers; they are called with edge operands."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from refwasm import embedding as e
from refwasm.campaign.source import Item
from refwasm.engines.judging import Call
from refwasm.errors import UnsupportedFeature
from refwasm.oracle.closing import signature
from refwasm.syntax.modules import func_types, subtypes
from refwasm.syntax.types import NumType

#: Calls of one function.
MOST_CALLS = 60
#: Numbers that indices and counts are tried with.
INDICES = (0, 1, 2, 3, 4, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

#: The instruction that a module is about, and the fields of the module. Parameters named ``$i`` are indices or counts.
CONTROL = {
    "nop": '(func (export "f") (param i32) (result i32) (nop) (local.get 0) (nop))',
    "unreachable": '(func (export "f") (param i32) (result i32) (if (local.get 0) (then (unreachable))) (i32.const 1))',
    "block": """(func (export "f") (param i32) (result i32 i64)
        (block $a (result i32 i64) (block $b (block $c (br_if $b (local.get 0))
          (br $a (i32.const 7) (i64.const 8))) (unreachable)) (i32.const 1) (i64.const 2))
        (block (param i32 i64) (result i32 i64) (i64.const 3) (i64.add)))""",
    "loop": """(func (export "f") (param $i i32) (result i32) (local i32)
        (loop $l (local.set 1 (i32.add (i32.mul (local.get 1) (i32.const 3)) (local.get $i)))
          (br_if $l (i32.and (local.tee $i (i32.shr_u (local.get $i) (i32.const 3))) (i32.const -1)))) (local.get 1))
      (func (export "params") (param i32) (result i32) (local.get 0)
        (loop $l (param i32) (result i32) (i32.shr_u (i32.const 2)) (br_if $l (i32.gt_u (local.tee 0) (i32.const 9))
          (local.get 0))))""",
    "if": """(func (export "f") (param i32 i32) (result i32)
        (if (result i32) (local.get 0) (then (if (result i32) (local.get 1) (then (i32.const 1)) (else (i32.const 2))))
          (else (i32.const 3))))
      (func (export "without else") (param i32) (result i32) (local i32)
        (if (local.get 0) (then (local.set 1 (i32.const 5)))) (local.get 1))
      (func (export "early") (param i32) (result i32) (if (local.get 0) (then (return (i32.const 4))))
        (i32.const 6))""",
    "br": """(func (export "f") (param i32) (result i32) (block $a (result i32) (i32.const 1)
        (block $b (br_if $b (local.get 0)) (i32.const 9) (br $a)) (i32.const 2) (br $a)))""",
    "br_if": """(func (export "f") (param i32) (result i32) (block (result i32)
        (i32.add (i32.const 10) (br_if 0 (i32.const 1) (local.get 0)))))
      (func (export "two") (param i32 i32) (result i32 i32)
        (block (result i32 i32) (i32.const 1) (i32.const 2) (br_if 0 (local.get 0)) (i32.add (local.get 1))))""",
    "br_table": """(func (export "f") (param i32) (result i32)
        (block $d (block $c (block $b (block $a (br_table $a $b $c $a $d (local.get 0))) (return (i32.const 10)))
          (return (i32.const 11))) (return (i32.const 12))) (i32.const 13))
      (func (export "one") (param i32) (result i32) (block (br_table 0 (local.get 0))) (i32.const 3))
      (func (export "values") (param i32) (result i32)
        (block $b (result i32) (i32.add (i32.const 100) (block $a (result i32)
          (br_table $a $b $a (i32.const 5) (local.get 0))))))""",
    "return": """(func (export "f") (param i32) (result i32) (i32.const 1) (i32.const 2)
        (block (if (local.get 0) (then (return (i32.const 7))))) (i32.add))""",
    "call": """(func $g (param i32 i64 f32 f64) (result f64 i32)
        (f64.add (local.get 3) (f64.convert_i64_s (local.get 1)))
        (i32.xor (local.get 0) (i32.reinterpret_f32 (local.get 2))))
      (func (export "f") (param i32 i64 f32 f64) (result f64 i32)
        (call $g (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func $fac (export "recursive") (param $i i32) (result i64)
        (if (result i64) (i32.gt_u (i32.and (local.get $i) (i32.const 15)) (i32.const 0))
          (then (i64.mul (i64.extend_i32_u (local.get $i))
            (call $fac (i32.sub (i32.and (local.get $i) (i32.const 15)) (i32.const 1)))))
          (else (i64.const 1))))
      (func $many (param i32 i64 i32 i64 i32 i64 i32 i64 i32 i64 f64 f32 f64 f32 f64 f32 f64 f32 f64 f32) (result f64)
        (f64.add (f64.convert_i32_s (i32.sub (local.get 8) (local.get 0)))
          (f64.sub (local.get 18) (f64.promote_f32 (local.get 19)))))
      (func (export "on the stack") (param i32) (result f64)
        (call $many (local.get 0) (i64.const 1) (i32.const 2) (i64.const 3) (i32.const 4) (i64.const 5) (i32.const 6)
          (i64.const 7) (i32.const 8) (i64.const 9) (f64.const 10) (f32.const 11) (f64.const 12) (f32.const 13)
          (f64.const 14) (f32.const 15) (f64.const 16) (f32.const 17) (f64.const 18.5) (f32.const 19.25)))""",
    "call_indirect": """(type $t (func (param i32) (result i32))) (type $u (func (result i64)))
      (type $v (func (param i32) (result i64))) (table 7 funcref) (elem (i32.const 0) $a $b $c $d $e)
      (func $a (type $t) (i32.add (local.get 0) (i32.const 1)))
      (func $b (type $t) (i32.mul (local.get 0) (i32.const 2)))
      (func $c (type $u) (i64.const 3)) (func $d (type $v) (i64.const 4))
      (func $e (param i64) (result i32) (i32.const 5))
      (func (export "f") (param $i i32) (param i32) (result i32) (call_indirect (type $t) (local.get 1) (local.get $i)))
      (func (export "other") (param $i i32) (result i64) (call_indirect (type $u) (local.get $i)))""",
    "drop": """(func $g (result i32) (global.set 0 (i32.add (global.get 0) (i32.const 1))) (global.get 0))
      (global (export "g") (mut i32) (i32.const 5)) (func (export "f") (drop (call $g)) (drop (call $g)))""",
    "select": "".join(
        f'(func (export "{t}") (param {t} {t} i32) (result {t}) (select (local.get 0) (local.get 1) (local.get 2)))'
        for t in ("i32", "i64", "f32", "f64")
    ),
    "return_call": """(func $even (export "f") (param $i i32) (result i32)
        (local.set $i (i32.and (local.get $i) (i32.const 0xffff)))
        (if (i32.eqz (local.get $i)) (then (return (i32.const 1)))) (return_call $odd (i32.sub (local.get $i)
          (i32.const 1))))
      (func $odd (param i32) (result i32) (if (i32.eqz (local.get 0)) (then (return (i32.const 0))))
        (return_call $even (i32.sub (local.get 0) (i32.const 1))))
      (func $more (param i32 i64 f64 i32 i64 f64 i32 i64 f64 i32) (result i64) (i64.extend_i32_s (local.get 9)))
      (func (export "more") (param i32) (result i64) (return_call $more (i32.const 1) (i64.const 2) (f64.const 3)
        (i32.const 4) (i64.const 5) (f64.const 6) (i32.const 7) (i64.const 8) (f64.const 9) (local.get 0)))""",
    "return_call_indirect": """(type $t (func (param i32) (result i32))) (table 3 funcref) (elem (i32.const 0) $a $b)
      (func $a (type $t) (i32.add (local.get 0) (i32.const 1))) (func $b (result i64) (i64.const 3))
      (func (export "f") (param $i i32) (param i32) (result i32)
        (return_call_indirect (type $t) (local.get 1) (local.get $i)))""",
    "call_ref": """(type $t (func (param i32) (result i32))) (elem declare func $a)
      (func $a (type $t) (i32.mul (local.get 0) (i32.const 3)))
      (func (export "f") (param i32 i32) (result i32) (call_ref $t (local.get 0)
        (if (result (ref null $t)) (local.get 1) (then (ref.func $a)) (else (ref.null $t)))))""",
    "return_call_ref": """(type $t (func (param i32) (result i32))) (elem declare func $a)
      (func $a (type $t) (i32.mul (local.get 0) (i32.const 3)))
      (func (export "f") (param i32 i32) (result i32) (return_call_ref $t (local.get 0)
        (if (result (ref null $t)) (local.get 1) (then (ref.func $a)) (else (ref.null $t)))))""",
}

VARIABLES = {
    "local.get": """(func (export "f") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
        (local.get 3) (local.get 2) (local.get 1) (local.get 0))
      (func (export "zero") (result i32 i64 f32 f64) (local i32 i64 f32 f64)
        (local.get 0) (local.get 1) (local.get 2) (local.get 3))""",
    "local.set": """(func (export "f") (param i32 i32) (result i32 i32) (local i32)
        (local.set 2 (local.get 0)) (local.set 0 (local.get 1)) (local.set 1 (local.get 2)) (local.get 0) (local.get 1))
      (func (export "kept") (param i32) (result i32) (local.get 0) (local.set 0 (i32.const 9)) (local.get 0)
        (i32.sub))""",
    "local.tee": """(func (export "f") (param i32) (result i32)
        (i32.add (local.get 0) (local.tee 0 (i32.mul (local.get 0) (i32.const 7)))))
      (func (export "kept") (param i32) (result i32 i32) (local i32) (local.tee 1 (local.get 0)) (local.get 1))""",
    "global.get": """(global $a (export "a") i32 (i32.const 5)) (global $b (export "b") (mut i64) (i64.const -6))
      (func (export "f") (result i32 i64) (global.get $a) (global.get $b))""",
    "global.set": """(global $a (export "a") (mut i32) (i32.const 5)) (global $b (export "b") (mut f32) (f32.const 1))
      (global $c (export "c") (mut f64) (f64.const 2)) (global $d (export "d") (mut i64) (i64.const 3))
      (func (export "f") (param i32 f32 f64 i64) (result i32) (global.get $a) (global.set $a (local.get 0))
        (global.set $b (local.get 1)) (global.set $c (local.get 2)) (global.set $d (local.get 3)))""",
    **{
        f"{t}.const": f'(func (export "f") (result {t}) ({t}.const {number}))'
        for t, number in (
            ("i32", "-0x80000000"),
            ("i64", "0x7fffffffffffffff"),
            ("f32", "nan:0x1"),
            ("f64", "-0x1p-1074"),
        )
    },
    "v128.const": '(func (export "f") (result v128) (v128.const i16x8 1 2 -3 4 5 -6 7 0x8000))',
}

TABLES = {
    "table.get": """(table (export "t") 4 funcref) (elem (i32.const 1) $f) (func $f)
      (func (export "f") (param $i i32) (result funcref) (table.get 0 (local.get $i)))""",
    "table.set": """(table (export "t") 4 funcref) (elem declare func $f) (func $f)
      (func (export "f") (param $i i32) (result i32) (table.set 0 (local.get $i) (ref.func $f))
        (ref.is_null (table.get 0 (i32.const 3))))""",
    "table.size": '(table 3 10 funcref) (func (export "f") (result i32) (table.size 0))',
    "table.grow": """(table (export "t") 2 8 funcref) (elem declare func $f) (func $f)
      (func (export "f") (param $i i32) (result i32 i32) (table.grow 0 (ref.func $f) (local.get $i)) (table.size 0))
      (func (export "g") (param $i i32) (result i32) (ref.is_null (table.get 0 (local.get $i))))""",
    "table.fill": """(table 8 funcref) (elem declare func $f) (func $f)
      (func (export "f") (param $i i32) (param $j i32) (table.fill 0 (local.get $i) (ref.func $f) (local.get $j)))
      (func (export "g") (param $i i32) (result i32) (ref.is_null (table.get 0 (local.get $i))))""",
    "table.copy": """(table 8 funcref) (elem (i32.const 1) $f $f) (func $f)
      (func (export "f") (param $i i32) (param $j i32) (param $k i32)
        (table.copy 0 0 (local.get $i) (local.get $j) (local.get $k)))
      (func (export "g") (param $i i32) (result i32) (ref.is_null (table.get 0 (local.get $i))))""",
    "table.init": """(table 8 funcref) (elem $e func $f $f $f) (func $f)
      (func (export "f") (param $i i32) (param $j i32) (param $k i32)
        (table.init 0 $e (local.get $i) (local.get $j) (local.get $k)))
      (func (export "g") (param $i i32) (result i32) (ref.is_null (table.get 0 (local.get $i))))""",
    "elem.drop": """(table 8 funcref) (elem $e func $f $f $f) (func $f)
      (func (export "drop") (elem.drop $e))
      (func (export "f") (param $i i32) (table.init 0 $e (i32.const 0) (i32.const 0) (local.get $i)))""",
}

MEMORIES = {
    "memory.size": '(memory 2 3) (func (export "f") (result i32) (memory.size))',
    "memory.grow": """(memory (export "m") 1 4) (func (export "f") (param $i i32) (result i32 i32)
        (memory.grow (local.get $i)) (memory.size))
      (func (export "g") (param $i i32) (result i32)
        (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1))))""",
    "memory.fill": """(memory (export "m") 1 1) (func (export "f") (param $i i32) (param i32) (param $j i32)
        (memory.fill (i32.add (i32.const 65530) (local.get $i)) (local.get 1) (local.get $j)))""",
    "memory.copy": """(memory (export "m") 1 1) (data (i32.const 65528) "abcdefgh")
      (func (export "f") (param $i i32) (param $j i32) (param $k i32)
        (memory.copy (i32.add (i32.const 65528) (local.get $i)) (i32.add (i32.const 65528) (local.get $j))
          (local.get $k)))
      (func (export "down") (param $k i32) (memory.copy (i32.const 2) (i32.const 65528) (local.get $k)))""",
    "memory.init": """(memory (export "m") 1 1) (data $d "abcdefgh")
      (func (export "f") (param $i i32) (param $j i32) (param $k i32)
        (memory.init $d (i32.add (i32.const 65528) (local.get $i)) (local.get $j) (local.get $k)))""",
    "data.drop": """(memory (export "m") 1 1) (data $d "abcdefgh") (func (export "drop") (data.drop $d))
      (func (export "f") (param $i i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get $i)))""",
    "atomic.fence": '(memory 1 1 shared) (func (export "f") (param i32) (result i32) (atomic.fence) (local.get 0))',
}

REFERENCES = {
    "ref.null": '(func (export "f") (result funcref externref) (ref.null func) (ref.null extern))',
    "ref.is_null": """(table 2 funcref) (elem (i32.const 1) $f) (func $f)
      (func (export "f") (param i32) (result i32) (ref.is_null (table.get 0 (i32.and (local.get 0) (i32.const 1)))))""",
    "ref.func": """(elem declare func $f) (func $f (export "g") (result i32) (i32.const 3))
      (func (export "f") (result funcref) (ref.func $f))""",
    "select t": """(elem declare func $f) (func $f) (func (export "f") (param i32) (result funcref)
        (select (result funcref) (ref.func $f) (ref.null func) (local.get 0)))""",
    "ref.as_non_null": """(elem declare func $f) (func $f) (func (export "f") (param i32) (result (ref func))
        (ref.as_non_null (if (result funcref) (local.get 0) (then (ref.func $f)) (else (ref.null func)))))""",
    "br_on_null": """(elem declare func $f) (func $f) (func (export "f") (param i32) (result i32)
        (block $null (drop (br_on_null $null (if (result funcref) (local.get 0) (then (ref.func $f))
          (else (ref.null func))))) (return (i32.const 1))) (i32.const 2))""",
    "br_on_non_null": """(elem declare func $f) (func $f) (func (export "f") (param i32) (result i32)
        (block $found (result (ref func)) (br_on_non_null $found (if (result funcref) (local.get 0)
          (then (ref.func $f)) (else (ref.null func)))) (return (i32.const 1))) (drop) (i32.const 2))""",
    "ref.eq": """(type $s (struct)) (global $g (ref $s) (struct.new $s))
      (func $pick (param i32) (result eqref) (block (block (block (block (br_table 0 1 2 3 (local.get 0)))
        (return (ref.null eq))) (return (global.get $g))) (return (ref.i31 (i32.const 5)))) (struct.new $s))
      (func (export "f") (param $i i32) (param $j i32) (result i32)
        (ref.eq (call $pick (local.get $i)) (call $pick (local.get $j))))""",
    "ref.i31": '(func (export "f") (param i32) (result i32) (i31.get_s (ref.i31 (local.get 0))))',
    "i31.get_s": '(func (export "f") (param i32) (result i32) (i31.get_s (ref.i31 (local.get 0))))',
    "i31.get_u": """(func (export "f") (param i32) (result i32) (i31.get_u (ref.i31 (local.get 0))))
      (func (export "null") (result i32) (i31.get_u (ref.null i31)))""",
    "any.convert_extern": """(func (export "f") (param i32) (result i32)
        (i31.get_s (ref.cast (ref i31) (any.convert_extern (extern.convert_any (ref.i31 (local.get 0)))))))
      (func (export "null") (result anyref) (any.convert_extern (ref.null extern)))""",
    "extern.convert_any": """(func (export "f") (param i32) (result externref)
        (extern.convert_any (if (result anyref) (local.get 0) (then (ref.i31 (i32.const 1))) (else
          (ref.null any)))))""",
}

#: References of several classes, and types below each other.
_PICK = """(type $a (sub (struct (field (mut i32))))) (type $b (sub $a (struct (field (mut i32)) (field i64))))
  (type $c (array (mut i16)))
  (func $pick (param i32) (result anyref) (block (block (block (block (block (br_table 0 1 2 3 4 (local.get 0)))
    (return (ref.null any))) (return (struct.new $a (i32.const 1)))) (return (struct.new $b (i32.const 2)
      (i64.const 3))))
    (return (array.new $c (i32.const 4) (i32.const 5)))) (ref.i31 (i32.const 6)))"""

_TARGETS = ("eq", "struct", "array", "i31", "none", "$a", "$b", "$c")


def _for_each_target(function: str) -> str:
    """The types, and a function for each target of a cast."""
    return _PICK + "".join(function.replace("TARGET", target) for target in _TARGETS)


CASTS = {
    "ref.test": _for_each_target(
        """(func (export "TARGET") (param $i i32) (result i32) (ref.test (ref TARGET) (call $pick (local.get $i))))"""
    ),
    "ref.test null": _for_each_target(
        """(func (export "TARGET") (param $i i32) (result i32)
          (ref.test (ref null TARGET) (call $pick (local.get $i))))"""
    ),
    "ref.cast": _for_each_target(
        """(func (export "TARGET") (param $i i32) (drop (ref.cast (ref TARGET) (call $pick (local.get $i)))))"""
    ),
    "ref.cast null": _for_each_target(
        """(func (export "TARGET") (param $i i32) (drop (ref.cast (ref null TARGET) (call $pick (local.get $i)))))"""
    ),
    "br_on_cast": _for_each_target(
        """(func (export "TARGET") (param $i i32) (result i32) (block $found (result (ref TARGET))
          (drop (br_on_cast $found anyref (ref TARGET) (call $pick (local.get $i)))) (return (i32.const 1)))
          (drop) (i32.const 2))"""
    ),
    "br_on_cast_fail": _for_each_target(
        """(func (export "TARGET") (param $i i32) (result i32) (block $other (result anyref)
          (drop (br_on_cast_fail $other anyref (ref TARGET) (call $pick (local.get $i)))) (return (i32.const 1)))
          (drop) (i32.const 2))"""
    ),
}

_STRUCT = "(type $s (struct (field (mut i8)) (field (mut i16)) (field (mut i64)) (field (mut f32)) (field f64)))"
_MADE = "(struct.new $s (local.get 0) (local.get 0) (i64.extend_i32_s (local.get 0)) (f32.const 1.5) (f64.const -2.5))"
_ARRAY = '(type $a (array (mut i16))) (type $b (array (mut i64))) (data $d "abcdefgh")'
_FOUR = "(array.new_fixed $a 4 (i32.const 1) (i32.const -2) (i32.const 0x8003) (i32.const 4))"
#: The elements of an array as one number.
_SUM = """(func $sum (param (ref $a)) (result i64) (local i32 i64) (block $end (loop $l
    (br_if $end (i32.ge_u (local.get 1) (array.len (local.get 0))))
    (local.set 2 (i64.add (i64.mul (local.get 2) (i64.const 65537)) (i64.extend_i32_u
      (array.get_u $a (local.get 0) (local.get 1))))) (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br $l)))
  (local.get 2))"""

AGGREGATES = {
    "struct.new": f'{_STRUCT} (func (export "f") (param i32) (result i64) (struct.get $s 2 {_MADE}))',
    "struct.new_default": f'{_STRUCT} (func (export "f") (result f64) (struct.get $s 4 (struct.new_default $s)))',
    "struct.get": f"""{_STRUCT} (func (export "f") (param i32) (result f32) (struct.get $s 3 {_MADE}))
      (func (export "null") (result f32) (struct.get $s 3 (ref.null $s)))""",
    "struct.get_s": f"""{_STRUCT} (func (export "f") (param i32) (result i32) (struct.get_s $s 0 {_MADE}))
      (func (export "g") (param i32) (result i32) (struct.get_s $s 1 {_MADE}))""",
    "struct.get_u": f"""{_STRUCT} (func (export "f") (param i32) (result i32) (struct.get_u $s 0 {_MADE}))
      (func (export "g") (param i32) (result i32) (struct.get_u $s 1 {_MADE}))""",
    "struct.set": f"""{_STRUCT} (func (export "f") (param i32 i32) (result i32) (local (ref null $s))
        (local.set 2 {_MADE}) (struct.set $s 1 (local.get 2) (local.get 1)) (struct.get_s $s 1 (local.get 2)))
      (func (export "null") (struct.set $s 1 (ref.null $s) (i32.const 1)))""",
    "array.new": f"""{_ARRAY} {_SUM} (func (export "f") (param i32) (param $i i32) (result i64)
        (call $sum (array.new $a (local.get 0) (i32.and (local.get $i) (i32.const 15)))))""",
    "array.new_default": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (result i32)
        (array.len (array.new_default $b (i32.and (local.get $i) (i32.const 255)))))""",
    "array.new_fixed": f'{_ARRAY} {_SUM} (func (export "f") (result i64) (call $sum {_FOUR}))',
    "array.new_data": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (param $j i32) (result i64)
        (call $sum (array.new_data $a $d (local.get $i) (local.get $j))))""",
    "array.new_elem": """(type $r (array (mut funcref))) (elem $e func $f $f $f) (func $f)
      (func (export "f") (param $i i32) (param $j i32) (result i32)
        (array.len (array.new_elem $r $e (local.get $i) (local.get $j))))""",
    "array.get": f"""{_ARRAY} (func (export "f") (param $i i32) (result i64)
        (array.get $b (array.new_fixed $b 2 (i64.const 5) (i64.const -6)) (local.get $i)))
      (func (export "null") (result i64) (array.get $b (ref.null $b) (i32.const 0)))""",
    "array.get_s": f'{_ARRAY} (func (export "f") (param $i i32) (result i32) (array.get_s $a {_FOUR} (local.get $i)))',
    "array.get_u": f'{_ARRAY} (func (export "f") (param $i i32) (result i32) (array.get_u $a {_FOUR} (local.get $i)))',
    "array.set": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (param i32) (result i64) (local (ref null $a))
        (local.set 2 {_FOUR}) (array.set $a (local.get 2) (local.get $i) (local.get 1))
        (call $sum (ref.as_non_null (local.get 2))))""",
    "array.len": f"""{_ARRAY} (func (export "f") (result i32) (array.len {_FOUR}))
      (func (export "null") (result i32) (array.len (ref.null array)))""",
    "array.fill": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (param i32) (param $j i32) (result i64)
        (local (ref null $a)) (local.set 3 {_FOUR})
        (array.fill $a (local.get 3) (local.get $i) (local.get 1) (local.get $j))
        (call $sum (ref.as_non_null (local.get 3))))""",
    "array.copy": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (param $j i32) (param $k i32) (result i64)
        (local (ref null $a)) (local.set 3 {_FOUR})
        (array.copy $a $a (local.get 3) (local.get $i) (local.get 3) (local.get $j) (local.get $k))
        (call $sum (ref.as_non_null (local.get 3))))""",
    "array.init_data": f"""{_ARRAY} {_SUM} (func (export "f") (param $i i32) (param $j i32) (param $k i32) (result i64)
        (local (ref null $a)) (local.set 3 {_FOUR})
        (array.init_data $a $d (local.get 3) (local.get $i) (local.get $j) (local.get $k))
        (call $sum (ref.as_non_null (local.get 3))))""",
    "array.init_elem": """(type $r (array (mut funcref))) (elem $e func $f $f $f) (func $f)
      (func (export "f") (param $i i32) (param $j i32) (param $k i32) (result i32) (local (ref null $r))
        (local.set 3 (array.new_default $r (i32.const 4)))
        (array.init_elem $r $e (local.get 3) (local.get $i) (local.get $j) (local.get $k))
        (ref.is_null (array.get $r (local.get 3) (i32.const 3))))""",
}

EXCEPTIONS = {
    "throw": """(tag $e (param i32 f64)) (tag $n)
      (func (export "f") (param i32) (result i32)
        (if (local.get 0) (then (throw $e (local.get 0) (f64.const 2.5)))) (i32.const 1))
      (func (export "g") (throw $n))""",
    "try_table": """(tag $e (param i32 i64)) (tag $n) (func $g (param i32)
        (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $e (i32.const 5) (i64.const 6))))
        (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $n)))
        (if (i32.eq (local.get 0) (i32.const 3)) (then (unreachable))))
      (func (export "f") (param $i i32) (result i32 i64) (block $all (block $caught (result i32 i64)
        (try_table (catch $e $caught) (catch_all $all) (call $g (local.get $i))) (return (i32.const 1) (i64.const 2)))
        (return)) (i32.const 3) (i64.const 4))
      (func (export "inner") (param $i i32) (result i32) (block $out (block $in
        (try_table (catch_all $out) (try_table (catch $n $in) (call $g (local.get $i)))) (return (i32.const 1)))
        (return (i32.const 2))) (i32.const 3))""",
    "throw_ref": """(tag $e (param i32)) (func (export "f") (param i32) (result i32) (local exnref)
        (block $again (result i32) (block $first (result i32 exnref)
          (try_table (catch_ref $e $first) (throw $e (local.get 0))) (return (i32.const 1)))
          (local.set 1) (drop) (try_table (catch $e $again) (throw_ref (local.get 1))) (return (i32.const 2))))
      (func (export "null") (throw_ref (ref.null exn)))""",
}

STRUCTURES = {**CONTROL, **VARIABLES, **TABLES, **MEMORIES, **REFERENCES, **CASTS, **AGGREGATES, **EXCEPTIONS}


def structures(features: frozenset[str]) -> Iterator[Item]:
    """An item for each instruction that the features allow."""
    for mnemonic, fields in STRUCTURES.items():
        module = e.module_parse(f"(module {fields})")
        try:
            e.module_validate(module, features)
        except UnsupportedFeature:
            continue
        types, by_index = subtypes(module), func_types(module)
        choose = random.Random(mnemonic)
        calls: list[Call] = []
        for export in module.exports:
            if export.kind == "func":
                params = signature(types, by_index[export.index]).params
                names = module.names.indirect.get("local", {}).get(export.index, {})
                rows = [_values(t, i in names) for i, t in enumerate(params) if isinstance(t, NumType)]
                found = list(itertools.product(*rows))
                calls += [(export.name, row) for row in choose.sample(found, min(len(found), MOST_CALLS))]
        yield Item(mnemonic, e.module_encode(module), calls, kind=mnemonic)


def _values(t: NumType, is_index: bool) -> tuple[int, ...]:
    """The numbers that a parameter is tried with."""
    if t.name == "i32":
        return INDICES if is_index else WORDS
    return {"i64": (0, 5, 1 << 63), "f32": (0x3FC00000, 0x80000000), "f64": (0x4004000000000000, 0)}[t.name]
