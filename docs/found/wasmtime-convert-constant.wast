;; wasmtime==18.0.0: the compiler aborts on a constant
(module (func (export "convert") (result v128) (f64x2.convert_low_i32x4_s (i32x4.splat (i32.const 1)))))
(assert_return (invoke "convert") (v128.const f64x2 1 1))
