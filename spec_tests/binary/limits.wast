;; Appendix "Implementation Limitations": absurd claims are refused at once.
(assert_malformed
  (module binary "\00asm\01\00\00\00" "\01\04\01\60\00\00" "\03\02\01\00" "\0a\0a\01\08\02\ff\ff\ff\ff\0f\7f\01\7f\0b")
  "too many locals")
(assert_malformed (module binary "\00asm\01\00\00\00" "\01\05\ff\ff\ff\ff\0f") "unexpected end")
(assert_malformed (module binary "\00asm\01\00\00\00" "\0b\05\ff\ff\ff\ff\0f") "unexpected end")
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\ff\ff\ff\ff\0f") "length out of bounds")
(assert_malformed (module binary "\00asm\01\00\00\00" "\00\01\05") "length out of bounds")
