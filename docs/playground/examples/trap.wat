(module
  (memory 1)
  (func $element (param $index i32) (result i32)
    (i32.load (i32.shl (local.get $index) (i32.const 2))))
  (func (export "sum") (param $from i32) (param $to i32) (result i32) (local $sum i32)
    (loop $each
      (local.set $sum (i32.add (local.get $sum) (call $element (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $from) (local.get $to))))
    (local.get $sum)))
