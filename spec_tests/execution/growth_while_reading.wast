;; Growing a shared memory while another thread reads: the reader sees the old size or the new one, never garbage.
(module $M (memory (export "m") 1 4 shared))
(thread $Reader (shared (module $M))
  (register "m" $M)
  (module
    (memory (import "m" "m") 1 4 shared)
    (func (export "read") (result i32)
      (loop $again
        (br_if $again (i32.ne (memory.size) (i32.const 4))))
      (i32.load (i32.const 0x3fffc))))
  (assert_return (invoke "read") (i32.const 0)))
(thread $Grower (shared (module $M))
  (register "m" $M)
  (module
    (memory (import "m" "m") 1 4 shared)
    (func (export "grow") (result i32)
      (drop (memory.grow (i32.const 1)))
      (drop (memory.grow (i32.const 1)))
      (memory.grow (i32.const 1))))
  (assert_return (invoke "grow") (i32.const 3)))
(wait $Reader)
(wait $Grower)
