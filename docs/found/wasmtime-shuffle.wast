;; wasmtime==6.0.0: with one value as both operands, wrong lanes
(module (func (export "shuffle") (param v128) (result v128)
  (i8x16.shuffle 16 1 18 3 20 5 22 7 24 9 26 11 28 13 30 15 (local.get 0) (local.get 0))))
(assert_return
  (invoke "shuffle" (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
  (v128.const i8x16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15))
