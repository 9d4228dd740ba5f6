;; parallel_for of a kernel module calls it with id, number and block size only.
;; rules: PAR-FORM-01 PAR-FORM-03 PAR-FORM-04
;; needs: memory=alias
(module
  (import "wasi_ephemeral_parallel" "get_device" (func $get_device (param i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "create_buffer" (func $create_buffer (param i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "write_buffer" (func $write_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "read_buffer" (func $read_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "parallel_for" (func $parallel_for (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4 64 shared)
  ;; (module
  ;;   (import "env" "memory" (memory 1 64 shared))
  ;;   (func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32)
  ;;     (drop (i32.atomic.rmw.add (i32.const 1024) (i32.const 1)))
  ;;     (i32.atomic.store (i32.const 1028) (local.get $n))
  ;;     (i32.atomic.store (i32.const 1032) (local.get $block))))
  (data (i32.const 4096) "\00\61\73\6d\01\00\00\00\01\07\01\60\03\7f\7f\7f\00\02\10\01\03\65\6e\76\06\6d\65\6d\6f\72\79\02\03\01\40\03\02\01\00\07"
    "\0a\01\06\6b\65\72\6e\65\6c\00\00\0a\20\01\1e\00\41\80\08\41\01\fe\1e\02\00\1a\41\84\08\20\01\fe\17\02\00\41\88\08\20\02"
    "\fe\17\02\00\0b\00\23\04\6e\61\6d\65\01\09\01\00\06\6b\65\72\6e\65\6c\02\11\01\00\03\00\02\69\64\01\01\6e\02\05\62\6c\6f"
    "\63\6b")
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
    (call $check (i32.const 1) (call $parallel_for (i32.const 4096) (i32.const 122) (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 0)) (i32.const 0))
    (call $check (i32.const 2) (i32.load (i32.const 1024)) (i32.const 0))
    (call $check (i32.const 3) (i32.load (i32.const 1028)) (i32.const 0))
    (call $check (i32.const 4) (i32.load (i32.const 1032)) (i32.const 0))
    (call $print (i32.const 592) (i32.const 3))))
