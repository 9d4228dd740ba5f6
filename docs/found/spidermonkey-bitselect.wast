;; spidermonkey: with a constant as mask, the operands change places
(module (func (export "select") (param v128 v128) (result v128)
  (v128.bitselect (local.get 0) (local.get 1) (v128.const i32x4 -1 -1 0 0))))
(assert_return
  (invoke "select" (v128.const i32x4 1 1 1 1) (v128.const i32x4 2 2 2 2))
  (v128.const i32x4 1 1 2 2))
