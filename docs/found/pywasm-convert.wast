;; pywasm: the number is rounded twice
(module (func (export "convert") (param i64) (result f32) (f32.convert_i64_s (local.get 0))))
(assert_return (invoke "convert" (i64.const 4611686293305294849)) (f32.const 0x1.000002p+62))
