;; What the official tests leave thin: order of evaluation and of traps, loops hot enough to be compiled, casts of
;; references that have no descriptor, exactness across modules and across both formats.

(module $shapes
  (rec
    (type $shape (sub (descriptor $shape.desc) (struct (field $area (mut i32)))))
    (type $shape.desc (sub (describes $shape) (struct (field $factor i32)))))
  (rec
    (type $square (sub $shape (descriptor $square.desc) (struct (field $area (mut i32)) (field $tag i8))))
    (type $square.desc (sub $shape.desc (describes $square) (struct (field $factor i32) (field $extra i64)))))
  (type $array (array i8))

  (global $trace (mut i32) (i32.const 0))
  (global $shape.one (ref (exact $shape.desc)) (struct.new $shape.desc (i32.const 3)))
  (global $shape.other (ref (exact $shape.desc)) (struct.new $shape.desc (i32.const 3)))
  (global $square.one (ref (exact $square.desc)) (struct.new $square.desc (i32.const 5) (i64.const 7)))
  (global $a (export "a") (ref (exact $shape)) (struct.new_desc $shape (i32.const 10) (global.get $shape.one)))
  (global $default (ref $shape) (struct.new_default_desc $square (global.get $square.one)))

  (func $note (param $digit i32) (result i32)
    (global.set $trace (i32.add (i32.mul (global.get $trace) (i32.const 10)) (local.get $digit)))
    (local.get $digit))
  (func $nothing (param $digit i32) (result (ref null (exact $shape.desc)))
    (drop (call $note (local.get $digit)))
    (ref.null $shape.desc)
    (ref.cast (ref null (exact $shape.desc))))
  (func (export "trace") (result i32) (global.get $trace))
  (func (export "reset") (global.set $trace (i32.const 0)))

  ;; Fields come first, then the descriptor, then the trap.
  (func (export "null-descriptor") (drop (struct.new_desc $shape (call $note (i32.const 1)) (call $nothing (i32.const 2)))))
  (func (export "null-default") (drop (struct.new_default_desc $shape (call $nothing (i32.const 4)))))

  ;; A packed field keeps its low bits.
  (func (export "packed") (result i32)
    (struct.get_s $square $tag
      (struct.new_desc $square (i32.const 0) (i32.const 0x1ff) (global.get $square.one))))

  ;; The descriptor of a subtype is reached through the supertype, inexactly.
  (func (export "factor-of-default") (result i32)
    (struct.get $shape.desc $factor (ref.get_desc $shape (global.get $default))))
  (func (export "extra-of-default") (result i64)
    (struct.get $square.desc $extra (ref.get_desc $square (ref.cast (ref $square) (global.get $default)))))
  (func (export "same-descriptor") (result i32)
    (ref.eq (ref.get_desc $shape (global.get $a)) (global.get $shape.one)))

  (func $pick (param $which i32) (result anyref)
    (block $4 (block $3 (block $2 (block $1 (block $0
      (br_table $0 $1 $2 $3 $4 (local.get $which)))
      (return (global.get $a)))
      (return (global.get $default)))
      (return (ref.i31 (i32.const 1))))
      (return (array.new_default $array (i32.const 2))))
    (ref.null none))

  ;; A cast by descriptor is by identity: an equal descriptor is another one.
  (func (export "cast") (param $which i32) (result i32)
    (struct.get $shape $area (ref.cast_desc_eq (ref (exact $shape)) (call $pick (local.get $which)) (global.get $shape.one))))
  (func (export "cast-other") (param $which i32) (result i32)
    (ref.is_null (ref.cast_desc_eq (ref null $shape) (call $pick (local.get $which)) (global.get $shape.other))))
  (func (export "cast-by-nothing") (param $which i32)
    (drop (ref.cast_desc_eq (ref null $shape) (call $pick (local.get $which)) (call $nothing (i32.const 3)))))
  (func $branches (export "branches") (param $which i32) (result i32)
    (block $yes (result (ref null $shape))
      (drop (br_on_cast_desc_eq $yes anyref (ref null $shape) (call $pick (local.get $which)) (global.get $shape.one)))
      (return (i32.const 0)))
    (drop)
    (i32.const 1))
  (func $fails (export "fails") (param $which i32) (result i32)
    (block $no (result anyref)
      (drop (br_on_cast_desc_eq_fail $no anyref (ref $square) (call $pick (local.get $which)) (global.get $square.one)))
      (return (i32.const 0)))
    (drop)
    (i32.const 1))
  (func (export "branch-by-nothing") (param $which i32)
    (block $yes (result (ref null $shape))
      (drop (br_on_cast_desc_eq $yes anyref (ref null $shape) (call $pick (local.get $which)) (call $nothing (i32.const 6))))
      (return))
    (drop))

  ;; Hot: 3,000 turns over the five references.
  (func (export "hot") (result i32) (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum)
        (i32.sub
          (i32.mul (i32.const 3) (call $branches (i32.rem_u (local.get $i) (i32.const 5))))
          (call $fails (i32.rem_u (local.get $i) (i32.const 5))))))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 3000))))
    (local.get $sum))

  ;; Exact casts see the dynamic type.
  (func (export "exactly-shape") (param $which i32) (result i32)
    (ref.test (ref (exact $shape)) (call $pick (local.get $which))))
  (func (export "some-shape") (param $which i32) (result i32)
    (ref.test (ref null $shape) (call $pick (local.get $which)))))
(register "shapes")

(assert_trap (invoke "null-descriptor") "null descriptor reference")
(assert_return (invoke "trace") (i32.const 12))
(assert_trap (invoke "null-default") "null descriptor reference")
(assert_return (invoke "trace") (i32.const 124))
(assert_return (invoke "packed") (i32.const -1))
(assert_return (invoke "factor-of-default") (i32.const 5))
(assert_return (invoke "extra-of-default") (i64.const 7))
(assert_return (invoke "same-descriptor") (i32.const 1))
(assert_return (invoke "cast" (i32.const 0)) (i32.const 10))
(assert_trap (invoke "cast" (i32.const 1)) "descriptor cast failure")
(assert_trap (invoke "cast" (i32.const 2)) "descriptor cast failure")
(assert_trap (invoke "cast" (i32.const 3)) "descriptor cast failure")
(assert_trap (invoke "cast" (i32.const 4)) "descriptor cast failure")
(assert_trap (invoke "cast-other" (i32.const 0)) "descriptor cast failure")
(assert_return (invoke "cast-other" (i32.const 4)) (i32.const 1))
(assert_trap (invoke "cast-by-nothing" (i32.const 0)) "null descriptor reference")
(assert_trap (invoke "cast-by-nothing" (i32.const 4)) "null descriptor reference")
(assert_trap (invoke "branch-by-nothing" (i32.const 4)) "null descriptor reference")
(assert_return (invoke "branches" (i32.const 0)) (i32.const 1))
(assert_return (invoke "branches" (i32.const 1)) (i32.const 0))
(assert_return (invoke "branches" (i32.const 2)) (i32.const 0))
(assert_return (invoke "branches" (i32.const 3)) (i32.const 0))
(assert_return (invoke "branches" (i32.const 4)) (i32.const 1))
(assert_return (invoke "fails" (i32.const 0)) (i32.const 1))
(assert_return (invoke "fails" (i32.const 1)) (i32.const 0))
(assert_return (invoke "fails" (i32.const 4)) (i32.const 1))
(assert_return (invoke "hot") (i32.const 1200))
(assert_return (invoke "exactly-shape" (i32.const 0)) (i32.const 1))
(assert_return (invoke "exactly-shape" (i32.const 1)) (i32.const 0))
(assert_return (invoke "some-shape" (i32.const 1)) (i32.const 1))
(assert_return (invoke "some-shape" (i32.const 4)) (i32.const 1))

;; Types of another module are the same types, exact or not.
(module
  (rec
    (type $x (sub (descriptor $y) (struct (field (mut i32)))))
    (type $y (sub (describes $x) (struct (field i32)))))
  (import "shapes" "a" (global $a (ref (exact $x))))
  (func (export "factor") (result i32) (struct.get $y 0 (ref.get_desc $x (global.get $a)))))
(assert_return (invoke "factor") (i32.const 3))

;; Without the clauses they are others.
(assert_unlinkable
  (module
    (type $x (sub (struct (field (mut i32)))))
    (import "shapes" "a" (global $a (ref $x))))
  "incompatible import type")

;; An exact reference to a subtype is no exact reference to its supertype.
(assert_invalid
  (module
    (type $a (sub (struct)))
    (type $b (sub $a (struct)))
    (func (param (ref (exact $b))) (result (ref (exact $a))) (local.get 0)))
  "type mismatch")

;; Clauses stand after the supertypes and in one order.
(assert_malformed (module quote "(rec (type $a (descriptor $b) (struct)) (type $b (descriptor $c) (describes $a) (struct)) (type $c (describes $b) (struct)))") "unexpected token")
(assert_malformed (module quote "(rec (type $a (descriptor $b) (sub (struct))) (type $b (describes $a) (struct)))") "unexpected token")
(assert_malformed (module quote "(func (exact (type 0)))") "unexpected token")
