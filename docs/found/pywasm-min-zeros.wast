;; pywasm: min(0, -0) is +0, max(-0, 0) is -0
(module
  (func (export "min") (param f32 f32) (result f32) (f32.min (local.get 0) (local.get 1)))
  (func (export "max") (param f32 f32) (result f32) (f32.max (local.get 0) (local.get 1))))
(assert_return (invoke "min" (f32.const 0) (f32.const -0)) (f32.const -0))
(assert_return (invoke "max" (f32.const -0) (f32.const 0)) (f32.const 0))
