;; pywasm: the quiet bit is set
(module (func (export "copysign") (param f32 f32) (result f32) (f32.copysign (local.get 0) (local.get 1))))
(assert_return (invoke "copysign" (f32.const nan:0x1) (f32.const -1)) (f32.const -nan:0x1))
