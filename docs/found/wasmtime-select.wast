;; wasmtime==0.31.0: the lower eight bytes are selected only
(module (func (export "select") (param v128 v128 i32) (result v128)
  (select (local.get 0) (local.get 1) (local.get 2))))
(assert_return
  (invoke "select" (v128.const i32x4 1 1 1 1) (v128.const i32x4 2 2 2 2) (i32.const 0))
  (v128.const i32x4 2 2 2 2))
(assert_return
  (invoke "select" (v128.const i32x4 1 1 1 1) (v128.const i32x4 2 2 2 2) (i32.const 1))
  (v128.const i32x4 1 1 1 1))
