(module
  (func (export "wait") (param $rounds i64)
    (loop $again
      (local.set $rounds (i64.add (local.get $rounds) (i64.const 1)))
      (br $again))))
