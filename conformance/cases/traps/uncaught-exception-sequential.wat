;; A kernel that ends in uncaught exception: an error number, and the device still works.
;; rules: PAR-EXEC-07
;; needs: feature=exceptions
;; outcome: ok or trap
(module
  (import "wasi_ephemeral_parallel" "get_device" (func $get_device (param i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "create_buffer" (func $create_buffer (param i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "write_buffer" (func $write_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "read_buffer" (func $read_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "parallel_exec" (func $parallel_exec (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4 64 shared)
  (global $device0 (mut i32) (i32.const 0))
  (global $buffer0 (mut i32) (i32.const 0))
  ;; (module
  ;;   (import "env" "memory" (memory 1 64 shared))
  ;;   (tag $t)
  ;;   (func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32)
  ;;     (throw $t)))
  (data (i32.const 4096) "\00\61\73\6d\01\00\00\00\01\0a\02\60\00\00\60\03\7f\7f\7f\00\02\10\01\03\65\6e\76\06\6d\65\6d\6f\72\79\02\03\01\40\03\02"
    "\01\01\0d\03\01\00\00\07\0a\01\06\6b\65\72\6e\65\6c\00\00\0a\06\01\04\00\08\00\0b\00\29\04\6e\61\6d\65\01\09\01\00\06\6b"
    "\65\72\6e\65\6c\02\11\01\00\03\00\02\69\64\01\01\6e\02\05\62\6c\6f\63\6b\0b\04\01\00\01\74")
  ;; (module
  ;;   (import "env" "memory" (memory 1 64 shared))
  ;;   (func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32) (param $p0 i32) (param $s0 i32)
  ;;     (drop (i32.atomic.rmw.add (local.get $p0) (i32.const 1)))))
  (data (i32.const 4224) "\00\61\73\6d\01\00\00\00\01\09\01\60\05\7f\7f\7f\7f\7f\00\02\10\01\03\65\6e\76\06\6d\65\6d\6f\72\79\02\03\01\40\03\02\01"
    "\00\07\0a\01\06\6b\65\72\6e\65\6c\00\00\0a\0d\01\0b\00\20\03\41\01\fe\1e\02\00\1a\0b\00\2b\04\6e\61\6d\65\01\09\01\00\06"
    "\6b\65\72\6e\65\6c\02\19\01\00\05\00\02\69\64\01\01\6e\02\05\62\6c\6f\63\6b\03\02\70\30\04\02\73\30")
  (func $check (param $step i32) (param $got i32) (param $want i32)
    (if (i32.ne (local.get $got) (local.get $want)) (then
      (call $hex (i32.const 517) (local.get $step))
      (call $hex (i32.const 531) (local.get $got))
      (call $hex (i32.const 546) (local.get $want))
      (call $print (i32.const 512) (i32.const 43))
      (call $proc_exit (i32.const 99)))))
  (func $print (param $text i32) (param $size i32)
    (i32.store (i32.const 560) (local.get $text))
    (i32.store (i32.const 564) (local.get $size))
    (drop (call $fd_write (i32.const 1) (i32.const 560) (i32.const 1) (i32.const 568))))
  (func $hex (param $at i32) (param $value i32) (local $digit i32)
    (local.set $digit (i32.const 8))
    (loop $next
      (local.set $digit (i32.sub (local.get $digit) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $digit))
        (i32.load8_u (i32.add (i32.const 576) (i32.and (local.get $value) (i32.const 15)))))
      (local.set $value (i32.shr_u (local.get $value) (i32.const 4)))
      (br_if $next (local.get $digit))))
  (data (i32.const 512) "step ........: got ........, want ........\0a")
  (data (i32.const 576) "0123456789abcdefok\0a")
  (func (export "_start")
    (call $check (i32.const 1) (call $get_device (i32.const 0) (i32.const 0)) (i32.const 0))
    (global.set $device0 (i32.load (i32.const 0)))
    (call $check (i32.const 2) (i32.eqz (call $parallel_exec (global.get $device0) (i32.const 4096) (i32.const 110) (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 0))) (i32.const 0))
    (call $check (i32.const 3) (call $create_buffer (global.get $device0) (i32.const 4) (i32.const 2) (i32.const 0)) (i32.const 0))
    (global.set $buffer0 (i32.load (i32.const 0)))
    (call $check (i32.const 4) (call $write_buffer (i32.const 65536) (i32.const 4) (global.get $buffer0)) (i32.const 0))
    (i32.store (i32.const 64) (global.get $buffer0))
    (call $check (i32.const 5) (call $parallel_exec (global.get $device0) (i32.const 4224) (i32.const 113) (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 1)) (i32.const 0))
    (call $check (i32.const 6) (call $read_buffer (global.get $buffer0) (i32.const 65536) (i32.const 4)) (i32.const 0))
    (call $check (i32.const 7) (i32.load (i32.const 65536)) (i32.const 3))
    (call $print (i32.const 592) (i32.const 3))))
