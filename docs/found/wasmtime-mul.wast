;; wasmtime==0.31.0: the compiler aborts
(module (func (export "mul") (param v128 v128) (result v128)
  (i64x2.mul (i64x2.extend_low_i32x4_s (local.get 0)) (i64x2.extend_high_i32x4_s (local.get 1)))))
(assert_return
  (invoke "mul" (v128.const i32x4 2 3 0 0) (v128.const i32x4 0 0 5 7))
  (v128.const i64x2 10 21))
