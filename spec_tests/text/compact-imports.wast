;; Groups of imports (compact-import-section proposal): what the official tests leave thin.

(module
  (func (export "f") (result i32) (i32.const 1))
  (func (export "g") (result i32) (i32.const 2))
  (memory (export "m") 1)
  (table (export "t") 1 funcref)
  (tag (export "e"))
  (global (export "v") (mut i64) (i64.const 3)))
(register "m")

;; all kinds in one group, identifiers and indices in order
(module
  (import "m" (item "f" (func $f (result i32))) (item "m" (memory $m 1)) (item "t" (table $t 1 funcref))
    (item "e" (tag $e)) (item "v" (global $v (mut i64))) (item "g" (func $g (result i32))))
  (func (export "sum") (result i32) (i32.add (call $f) (i32.mul (i32.const 10) (call $g))))
  (func (export "by index") (result i32) (i32.add (call 0) (i32.mul (i32.const 10) (call 1)))))
(assert_return (invoke "sum") (i32.const 21))
(assert_return (invoke "by index") (i32.const 21))

;; a shared type that uses a type, before other imports and definitions
(module
  (type $t (func (result i32)))
  (import "m" (item "f") (item "g") (item "f") (func (type $t)))
  (import "m" "g" (func $last (result i32)))
  (func (export "last") (result i32) (call $last))
  (func (export "third") (result i32) (call 2)))
(assert_return (invoke "last") (i32.const 2))
(assert_return (invoke "third") (i32.const 1))

(assert_malformed (module quote "(import \"m\" (item \"f\") (item \"g\" (func)) (func))") "unexpected token")
(assert_malformed (module quote "(import \"m\" (item \"f\"))") "unexpected token")
(assert_malformed (module quote "(import \"m\" (item) (func))") "unexpected token")
(assert_malformed (module quote "(func) (import \"m\" (item \"f\" (func)))") "import after function")
(assert_malformed (module quote "(func) (import \"m\" (item \"f\") (func))") "import after function")
(assert_malformed
  (module quote "(import \"m\" (item \"f\" (func $f)) (item \"g\" (func $f)))") "duplicate func")
