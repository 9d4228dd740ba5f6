;; wasm3: growing by -1 pages gives 4, and the memory has 3 pages then
(module
  (memory 4)
  (func (export "grow") (result i32) (memory.grow (i32.const -1)))
  (func (export "size") (result i32) (memory.size)))
(assert_return (invoke "grow") (i32.const -1))
(assert_return (invoke "size") (i32.const 4))
