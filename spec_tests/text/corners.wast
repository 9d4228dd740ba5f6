;; Text-format corner cases.
(module $names
  (func $"a name with spaces" (export "f") (result i32) (i32.const 1))
  (func (export "g") (result i32) (call $"a name with spaces"))
  (func (export "\u{1F600}") (result i32) (i32.const 2)))
(assert_return (invoke "g") (i32.const 1))
(assert_return (invoke "\f0\9f\98\80") (i32.const 2))

(module (;a (;nested;) comment;) ;; and a line
  (func (export "label reuse") (result i32)
    (block $l (result i32)
      (block $l (result i32) (br $l (i32.const 1)))
      (i32.const 2) (i32.add) (br $l))))
(assert_return (invoke "label reuse") (i32.const 3))

(module
  (func (export "folded if") (param i32) (result i32)
    (if $x (result i32) (i32.eqz (local.get 0)) (then (br $x (i32.const 1))) (else (i32.const 2))))
  (func (export "hex") (result f64) (f64.const 0x1.8p+1))
  (func (export "under_scores") (result i32) (i32.const 1_000_000)))
(assert_return (invoke "folded if" (i32.const 0)) (i32.const 1))
(assert_return (invoke "folded if" (i32.const 5)) (i32.const 2))
(assert_return (invoke "hex") (f64.const 3))
(assert_return (invoke "under_scores") (i32.const 1000000))

(assert_malformed (module quote "(func (if (i32.const 1) (else)))") "unexpected token")
(assert_malformed (module quote "(func (block $a (br $b)))") "unknown label")
(assert_malformed (module quote "(func) (func") "unexpected end")
(assert_malformed (module quote "(func (result i32) (i32.const 0x1_0000_0000))") "constant out of range")
