;; pywasm: it traps
(module (func (export "div") (param i64 i64) (result i64) (i64.div_u (local.get 0) (local.get 1))))
(assert_return (invoke "div" (i64.const 0x8000000000000000) (i64.const 1)) (i64.const 0x8000000000000000))
