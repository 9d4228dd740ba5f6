;; wasmtime==0.31.0: truncation of a NaN is wrong where the operand is shared
(module (func (export "truncate") (param v128) (result v128 v128)
  (local $quotient v128)
  (local.set $quotient (f32x4.div (local.get 0) (local.get 0)))
  (i32x4.trunc_sat_f32x4_s (local.get $quotient))
  (i32x4.trunc_sat_f32x4_s (f32x4.pmin (local.get $quotient) (local.get $quotient)))))
(assert_return
  (invoke "truncate" (v128.const f32x4 0 0 1 1))
  (v128.const i32x4 0 0 1 1)
  (v128.const i32x4 0 0 1 1))
