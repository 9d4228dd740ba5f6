;; pywasm: of -0, and of numbers above -1, the result is +0
(module
  (func (export "ceil") (param f32) (result f32) (f32.ceil (local.get 0)))
  (func (export "trunc") (param f64) (result f64) (f64.trunc (local.get 0))))
(assert_return (invoke "ceil" (f32.const -0)) (f32.const -0))
(assert_return (invoke "trunc" (f64.const -0.5)) (f64.const -0))
