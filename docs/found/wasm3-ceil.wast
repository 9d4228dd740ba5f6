;; wasm3: the result is a signalling NaN
(module (func (export "ceil") (param f64) (result f64) (f64.ceil (local.get 0))))
(assert_return (invoke "ceil" (f64.const nan:0x1)) (f64.const nan:arithmetic))
