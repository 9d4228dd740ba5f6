;; wasmtime==0.38.0: the local with the indices has another value afterwards
(module (func (export "swizzle") (param v128 v128) (result v128 v128)
  (i8x16.swizzle (local.get 0) (local.get 1))
  (local.get 1)))
(assert_return
  (invoke "swizzle" (v128.const i32x4 1 2 3 4) (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
  (v128.const i32x4 1 2 3 4)
  (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
