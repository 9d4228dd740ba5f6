;; The smallest program that uses wasi-parallel: fills an array with squares, checks it, and exits with 0 if it is right.
;;
;; The memory is shared, so the kernel works in it directly (policy alias): the buffer is the region that write_buffer
;; names. The kernel's bytes stand in the data segment between the two marks; build.py puts them there.
(module
  (import "wasi_ephemeral_parallel" "get_device" (func $get_device (param i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "create_buffer" (func $create_buffer (param i32 i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "write_buffer" (func $write_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "read_buffer" (func $read_buffer (param i32 i32 i32) (result i32)))
  (import "wasi_ephemeral_parallel" "parallel_exec"
    (func $parallel_exec (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1 4 shared)

  ;; 0: device; 4: buffer; 8: bytes written; 16: an iovec; 64: message; 1024: kernel; 4096: the array of COUNT numbers
  (global $count i32 (i32.const 1000))
  (data (i32.const 64) "squares: correct\0a")
  (data (i32.const 1024)
    ;; kernel
    "\00asm\01\00\00\00\01\09\01`\05\7f\7f\7f\7f\7f\00\02\10\01\03e"
    "nv\06memory\02\03\01\04\03\02\01\00\07\0a\01\06ker"
    "nel\00\00\0a\14\01\12\00 \03 \00A\02tj \00 \00l6"
    "\02\00\0b\00,\04name\02%\01\00\05\00\02id\01\0aite"
    "rations\02\05block\03\03out\04\04siz"
    "e"
    ;; end of kernel
  )
  (global $kernel_size i32 (i32.const 121)) ;; kernel size

  (func $check (param $error i32)
    (if (local.get $error) (then (call $proc_exit (i32.const 1)))))

  (func (export "_start") (local $i i32) (local $size i32)
    (local.set $size (i32.shl (global.get $count) (i32.const 2)))
    (call $check (call $get_device (i32.const 1) (i32.const 0)))
    (call $check (call $create_buffer (i32.load (i32.const 0)) (local.get $size) (i32.const 1) (i32.const 4)))
    (call $check (call $write_buffer (i32.const 4096) (local.get $size) (i32.load (i32.const 4))))
    (call $check
      (call $parallel_exec
        (i32.load (i32.const 0)) (i32.const 1024) (global.get $kernel_size) (global.get $count) (i32.const 16)
        (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)))
    (call $check (call $read_buffer (i32.load (i32.const 4)) (i32.const 4096) (local.get $size)))
    (loop $each
      (call $check
        (i32.ne
          (i32.load offset=4096 (i32.shl (local.get $i) (i32.const 2)))
          (i32.mul (local.get $i) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $each (i32.lt_u (local.get $i) (global.get $count))))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.const 17))
    (call $check (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))))
