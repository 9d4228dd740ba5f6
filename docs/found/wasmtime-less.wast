;; wasmtime==40.0.0: the compiler aborts on x < min(x, x)
(module (func (export "less") (param v128) (result v128)
  (i8x16.lt_s (local.get 0) (i8x16.min_s (local.get 0) (local.get 0)))))
(assert_return (invoke "less" (v128.const i32x4 1 2 3 4)) (v128.const i32x4 0 0 0 0))
