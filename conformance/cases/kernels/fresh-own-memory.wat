;; By default each iteration finds its own memory as after instantiation.
;; rules: PAR-INST-01
;; needs: instance=fresh,feature=multi-memory
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
  ;;   (memory $own 1)
  ;;   (func $kernel (export "kernel") (param $id i32) (param $n i32) (param $block i32) (param $p0 i32) (param $s0 i32)
  ;;     (i32.store (i32.add (local.get $p0) (i32.shl (local.get $id) (i32.const 2))) (i32.eqz (i32.load $own (i32.const 4))))
  ;;     (i32.store $own (i32.const 4) (i32.const 9))))
  (data (i32.const 4096) "\00\61\73\6d\01\00\00\00\01\09\01\60\05\7f\7f\7f\7f\7f\00\02\10\01\03\65\6e\76\06\6d\65\6d\6f\72\79\02\03\01\40\03\02\01"
    "\00\05\03\01\00\01\07\0a\01\06\6b\65\72\6e\65\6c\00\00\0a\1e\01\1c\00\20\03\20\00\41\02\74\6a\41\04\28\42\01\00\45\36\02"
    "\00\41\04\41\09\36\42\01\00\0b\00\33\04\6e\61\6d\65\01\09\01\00\06\6b\65\72\6e\65\6c\02\19\01\00\05\00\02\69\64\01\01\6e"
    "\02\05\62\6c\6f\63\6b\03\02\70\30\04\02\73\30\06\06\01\01\03\6f\77\6e")
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
  (func $all (param $step i32) (param $at i32) (param $count i32) (param $want i32)
    (loop $next
      (if (local.get $count) (then
        (call $check (local.get $step) (i32.load (local.get $at)) (local.get $want))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))))
  (func (export "_start")
    (call $check (i32.const 1) (call $get_device (i32.const 1) (i32.const 0)) (i32.const 0))
    (global.set $device0 (i32.load (i32.const 0)))
    (call $check (i32.const 2) (call $create_buffer (global.get $device0) (i32.const 80) (i32.const 2) (i32.const 0)) (i32.const 0))
    (global.set $buffer0 (i32.load (i32.const 0)))
    (call $check (i32.const 3) (call $write_buffer (i32.const 65536) (i32.const 80) (global.get $buffer0)) (i32.const 0))
    (i32.store (i32.const 64) (global.get $buffer0))
    (call $check (i32.const 4) (call $parallel_exec (global.get $device0) (i32.const 4096) (i32.const 143) (i32.const 20) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 1)) (i32.const 0))
    (call $check (i32.const 5) (call $read_buffer (global.get $buffer0) (i32.const 65536) (i32.const 80)) (i32.const 0))
    (call $all (i32.const 6) (i32.const 65536) (i32.const 20) (i32.const 1))
    (call $print (i32.const 592) (i32.const 3))))
