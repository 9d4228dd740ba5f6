;; wasm3: a signalling NaN that is moved becomes a quiet one
(module (func (export "same") (param f32) (result f32) (local.get 0)))
(assert_return (invoke "same" (f32.const nan:0x1)) (f32.const nan:0x1))
