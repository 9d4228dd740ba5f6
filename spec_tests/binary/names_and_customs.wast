;; Custom sections anywhere, names that lie, name sections in odd places: none of it makes a module malformed.
(module binary "\00asm\01\00\00\00"
  "\00\02\01a"                                  ;; custom before everything
  "\01\04\01\60\00\00" "\00\02\01b"             ;; between sections
  "\03\02\01\00" "\00\01\00"                    ;; an empty name
  "\07\05\01\01f\00\00" "\0a\04\01\02\00\0b"
  "\00\06\04name\ff")                           ;; a name section that is nonsense
(assert_return (invoke "f"))

(module binary "\00asm\01\00\00\00"
  "\00\0a\04name\01\03\01\00\00"                ;; a name section first: an empty name for function 0
  "\01\04\01\60\00\00" "\03\02\01\00" "\07\05\01\01f\00\00" "\0a\04\01\02\00\0b"
  "\00\0b\04name\01\04\01\05\01x")              ;; and another, for a function that does not exist
(assert_return (invoke "f"))

;; A custom section's name must be there, whole, and UTF-8.
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\00") "unexpected end")
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\02\05a") "length out of bounds")
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\02\01\80") "malformed UTF-8 encoding")
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\01\01" "a") "unexpected end")

;; Branch hints for what is no branch are ignored.
(module binary "\00asm\01\00\00\00"
  "\01\04\01\60\00\00" "\03\02\01\00" "\07\05\01\01f\00\00"
  "\00\20\19metadata.code.branch_hint" "\01\00\01\01\01\00"
  "\0a\05\01\03\00\01\0b")
(assert_return (invoke "f"))
