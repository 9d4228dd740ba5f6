;; pywasm: the result is a signalling NaN
(module (func (export "min") (param f64 f64) (result f64) (f64.min (local.get 0) (local.get 1))))
(assert_return (invoke "min" (f64.const nan:0x1) (f64.const 0)) (f64.const nan:arithmetic))
