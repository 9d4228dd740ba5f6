;; A sleeper and a waker: the notify may come before the wait. Is there a schedule in which the sleeper never wakes up?
(module
  (memory (export "memory") 1 1 shared)
  (func (export "sleeper") (result i32)
    (if (i32.eqz (i32.atomic.load (i32.const 0)))
      (then (return (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const -1)))))
    (i32.const 9))
  (func (export "waker")
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 4) (i32.const 1)))))
