;; wasmtime==35.0.0: the least number divided by itself is -1
(module (func (export "div") (param i32) (result i32) (i32.div_s (local.get 0) (i32.const 0x80000000))))
(assert_return (invoke "div" (i32.const 0x80000000)) (i32.const 1))
