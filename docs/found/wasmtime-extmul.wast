;; wasmtime==0.31.0: of one value as both operands, the product is wrong; a local changes
(module (func (export "square") (param v128) (result v128 v128)
  (i16x8.extmul_high_i8x16_s (local.get 0) (local.get 0))
  (local.get 0)))
(assert_return
  (invoke "square" (v128.const i8x16 0 0 0 0 0 0 0 0 1 2 3 4 5 6 7 8))
  (v128.const i16x8 1 4 9 16 25 36 49 64)
  (v128.const i8x16 0 0 0 0 0 0 0 0 1 2 3 4 5 6 7 8))
