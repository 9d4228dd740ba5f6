;; Two threads count to two, and forget that an update is a read and a write.
(module
  (memory (export "memory") 1 1 shared)
  (func $count
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
  (func (export "a") (call $count))
  (func (export "b") (call $count)))
