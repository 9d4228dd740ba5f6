(module
  (func (export "half") (param $x f64) (result f64)
    (f64.div (local.get $x) (i32.const 2))))
