;; wasmtime==6.0.0: the address does not wrap to 32 bits
(module
  (memory 1)
  (data (i32.const 8) "\2a")
  (func (export "load") (param i32) (result i64) (i64.load (i32.shl (local.get 0) (i32.const 3)))))
(assert_return (invoke "load" (i32.const 0x20000001)) (i64.const 42))
