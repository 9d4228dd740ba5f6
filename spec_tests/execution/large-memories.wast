;; Memories at the ends of what addresses can reach: as large as engines allow, touched in a few places only.

;; no maximum: growing reaches exactly 65,536 pages
(module
  (memory 0xffff)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) (memory.size))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "load behind") (param i32) (result i32)
    ;; the address behind an access wraps: 0xfffffffc and then 0
    (drop (i32.load (local.get 0)))
    (i32.load (i32.add (local.get 0) (i32.const 4))))
  (func (export "sum of a walk") (param $p i32) (result i32) (local $n i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $p))))
      (local.set $p (i32.add (local.get $p) (i32.const 4)))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 8))))
    (local.get $sum))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1))))
(assert_trap (invoke "load" (i32.const 0xfffffffc)) "out of bounds memory access")
(assert_return (invoke "grow" (i32.const 2)) (i32.const -1))
(assert_return (invoke "grow" (i32.const 1)) (i32.const 0xffff))
(assert_return (invoke "size") (i32.const 0x10000))
(assert_return (invoke "grow" (i32.const 1)) (i32.const -1))
(assert_return (invoke "store" (i32.const 0xfffffffc) (i32.const 7)))
(assert_return (invoke "store" (i32.const 0) (i32.const 5)))
(assert_return (invoke "load" (i32.const 0xfffffffc)) (i32.const 7))
(assert_trap (invoke "load" (i32.const 0xfffffffd)) "out of bounds memory access")
(assert_return (invoke "load behind" (i32.const 0xfffffffc)) (i32.const 5))
(assert_return (invoke "sum of a walk" (i32.const 0xfffffff0)) (i32.const 12))

;; from nothing to all of it
(module
  (memory 0)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "last") (result i32) (i32.load8_u (i32.const -1))))
(assert_return (invoke "grow" (i32.const 0x10000)) (i32.const 0))
(assert_return (invoke "last") (i32.const 0))

;; 64-bit memories beyond 4 GiB
(module
  (memory i64 0x1_0008)
  (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
  (func (export "size") (result i64) (memory.size))
  (func (export "store") (param i64 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "load") (param i64) (result i32) (i32.load (local.get 0)))
  (func (export "load at") (param i64) (result i32) (i32.load offset=0x1_0000_0000 (local.get 0)))
  (func (export "fill") (param i64 i32 i64) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i64 i64 i64) (memory.copy (local.get 0) (local.get 1) (local.get 2))))
(assert_return (invoke "size") (i64.const 0x1_0008))
(assert_return (invoke "store" (i64.const 0x1_0000_0010) (i32.const 77)))
(assert_return (invoke "load" (i64.const 0x1_0000_0010)) (i32.const 77))
(assert_return (invoke "load at" (i64.const 0x10)) (i32.const 77))
(assert_return (invoke "load" (i64.const 0x10)) (i32.const 0))
(assert_trap (invoke "load" (i64.const 0x1_0008_0000)) "out of bounds memory access")
(assert_return (invoke "grow" (i64.const 0x1_0000)) (i64.const 0x1_0008))
(assert_return (invoke "load" (i64.const 0x1_0008_0000)) (i32.const 0))
(assert_return (invoke "fill" (i64.const 0x1_ffff_fffe) (i32.const 1) (i64.const 4)))
(assert_return (invoke "load" (i64.const 0x1_ffff_fffe)) (i32.const 0x01010101))
(assert_return (invoke "copy" (i64.const 0x20) (i64.const 0x1_ffff_fffe) (i64.const 4)))
(assert_return (invoke "load" (i64.const 0x20)) (i32.const 0x01010101))
(assert_return (invoke "grow" (i64.const 0x1_0000_0000)) (i64.const -1))
