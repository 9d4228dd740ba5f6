;; jsc==1.4.5: lanes are selected byte by byte
(module (func (export "select") (param v128 v128 v128) (result v128)
  (i32x4.relaxed_laneselect (local.get 0) (local.get 1) (local.get 2))))
(assert_return
  (invoke "select" (v128.const i32x4 -1 -1 -1 -1) (v128.const i32x4 0 0 0 0)
    (v128.const i32x4 0x7fc00000 0x7fc00000 0x7fc00000 0x7fc00000))
  (either
    (v128.const i32x4 0x7fc00000 0x7fc00000 0x7fc00000 0x7fc00000)
    (v128.const i32x4 0 0 0 0)))
