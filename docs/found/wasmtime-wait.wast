;; wasmtime==30.0.0: asking for the code of the trap aborts the process
(module
  (memory 1)
  (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0))))
(assert_trap (invoke "wait") "expected shared memory")
