;; wasmtime==0.31.0: the bits are not inverted
(module (func (export "not") (param v128) (result v128)
  (v128.not (f32x4.abs (local.get 0)))))
(assert_return
  (invoke "not" (v128.const f32x4 -2 -2 -2 -2))
  (v128.const i32x4 0xbfffffff 0xbfffffff 0xbfffffff 0xbfffffff))
