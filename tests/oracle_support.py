"""What tests of the oracle, engines and campaigns share."""

from __future__ import annotations

from typing import Any

from refwasm import embedding as e
from refwasm.engines.own import RefwasmEngine
from refwasm.syntax.instructions import FORMS, Instr
from refwasm.syntax.modules import Func

MODULE = """(module
  (import "host" "log" (func $log (param i32) (result f64)))
  (import "host" "memory" (memory 1))
  (import "host" "base" (global $base (mut i64)))
  (tag $t (param f64 i32)) (tag $u)
  (type $s (struct (field i32)))
  (memory (export "m") 1)
  (table (export "t") 3 funcref) (elem (i32.const 1) $mixed)
  (global (export "g") (mut v128) (v128.const i64x2 1 2))
  (global (export "r") (mut anyref) (ref.null any))
  (func $mixed (export "mixed") (param i32 f32 i64 f64 v128 externref) (result f64 v128 i32 externref)
    (global.set 1 (local.get 4))
    (f64.add (local.get 3) (call $log (i32.const 1))) (local.get 4) (local.get 0) (local.get 5))
  (func (export "throw") (param i32)
    (if (local.get 0) (then (throw $t (f64.const nan:0x4000000000001) (i32.const 7)))) (throw $u))
  (func (export "struct") (result (ref struct) anyref (ref func) i31ref)
    (global.set 2 (struct.new $s (i32.const 1)))
    (struct.new $s (i32.const 1)) (ref.i31 (i32.const 3)) (ref.func $mixed) (ref.null i31))
  (func (export "store") (i64.store 1 (i32.const 8) (i64.const 0x0123456789abcdef)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "needs") (param (ref func)))
)"""


def module(text: str) -> bytes:
    return e.module_encode(e.module_parse(text))


class Faulty(RefwasmEngine):
    """An engine that gives other results for calls whose export is among ``wrong``."""

    def instantiate(self, module: bytes) -> Any:
        instance = super().instantiate(module)
        call = instance.call

        def wrong(export: str, words: Any) -> int | None:
            result = call(export, words)
            return result ^ 1 if result is not None and export.startswith("get") else result

        instance.call = wrong  # type: ignore[method-assign]
        return instance


class WrongShift(RefwasmEngine):
    """An engine in which ``i32.shl`` shifts by one more, but for the reading of results."""

    def instantiate(self, module: bytes) -> Any:
        wrong, parsed = FORMS["i32.shr_u"], e.module_decode(module)
        funcs = [
            Func(f.type, f.locals, tuple(Instr(wrong, ()) if i.form.mnemonic == "i32.shl" else i for i in f.body))
            for f in parsed.funcs
        ]
        return super().instantiate(e.module_encode(parsed._replace(funcs=tuple(funcs), digest=b"")))
