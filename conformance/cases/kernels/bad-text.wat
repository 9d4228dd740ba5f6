;; No kernel: text instead of bytes. It is refused also for zero iterations.
;; rules: PAR-KERN-01 PAR-KERN-03
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
  ;; (not a module)
  (data (i32.const 4096) "\28\6d\6f\64\75\6c\65\0a\20\20\28\69\6d\70\6f\72\74\20\22\65\6e\76\22\20\22\6d\65\6d\6f\72\79\22\20\28\6d\65\6d\6f\72\79"
    "\20\31\20\36\34\20\73\68\61\72\65\64\29\29\0a\20\20\28\66\75\6e\63\20\24\6b\65\72\6e\65\6c\20\28\65\78\70\6f\72\74\20\22"
    "\6b\65\72\6e\65\6c\22\29\20\28\70\61\72\61\6d\20\24\69\64\20\69\33\32\29\20\28\70\61\72\61\6d\20\24\6e\20\69\33\32\29\20"
    "\28\70\61\72\61\6d\20\24\62\6c\6f\63\6b\20\69\33\32\29\20\28\70\61\72\61\6d\20\24\70\30\20\69\33\32\29\20\28\70\61\72\61"
    "\6d\20\24\73\30\20\69\33\32\29\0a\20\20\20\20\28\64\72\6f\70\20\28\69\33\32\2e\61\74\6f\6d\69\63\2e\72\6d\77\2e\61\64\64"
    "\20\28\6c\6f\63\61\6c\2e\67\65\74\20\24\70\30\29\20\28\69\33\32\2e\63\6f\6e\73\74\20\31\29\29\29\29\29")
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
    (call $check (i32.const 1) (call $get_device (i32.const 1) (i32.const 0)) (i32.const 0))
    (global.set $device0 (i32.load (i32.const 0)))
    (call $check (i32.const 2) (call $create_buffer (global.get $device0) (i32.const 4) (i32.const 2) (i32.const 0)) (i32.const 0))
    (global.set $buffer0 (i32.load (i32.const 0)))
    (call $check (i32.const 3) (call $write_buffer (i32.const 65536) (i32.const 4) (global.get $buffer0)) (i32.const 0))
    (i32.store (i32.const 64) (global.get $buffer0))
    (call $check (i32.const 4) (i32.eqz (call $parallel_exec (global.get $device0) (i32.const 4096) (i32.const 234) (i32.const 0) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 1))) (i32.const 0))
    (i32.store (i32.const 64) (global.get $buffer0))
    (call $check (i32.const 5) (i32.eqz (call $parallel_exec (global.get $device0) (i32.const 4096) (i32.const 234) (i32.const 3) (i32.const 1) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 1))) (i32.const 0))
    (call $check (i32.const 6) (call $read_buffer (global.get $buffer0) (i32.const 65536) (i32.const 4)) (i32.const 0))
    (call $check (i32.const 7) (i32.load (i32.const 65536)) (i32.const 0))
    (call $print (i32.const 592) (i32.const 3))))
