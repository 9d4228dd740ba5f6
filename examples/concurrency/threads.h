// Threads for small programs: wasi-threads and the atomics of the compiler, no library. A program defines
//     void thread(int which);   what each thread does
//     int check(void);          looks at the end: 0 if all is well
// and says how many threads there are with THREADS. Threads have no stack in memory: take no address of a local.
#include <stdatomic.h>

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int thread_spawn(int which);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"))) _Noreturn void proc_exit(int code);

void thread(int which);
int check(void);

static _Atomic int ended;

static void wait_while(_Atomic int *word, int value) { __builtin_wasm_memory_atomic_wait32((int *)word, value, -1); }
static void wake(_Atomic int *word, int count) { __builtin_wasm_memory_atomic_notify((int *)word, count); }

// A lock of three states (U. Drepper: "Futexes are tricky"): free, taken, and taken with threads that wait.
typedef _Atomic int Lock;

static void lock(Lock *l) {
  int seen = 0;
  if (atomic_compare_exchange_strong(l, &seen, 1)) return;
  while (atomic_exchange(l, 2) != 0) wait_while(l, 2);
}

static void unlock(Lock *l) {
  if (atomic_exchange(l, 0) == 2) wake(l, 1);
}

__attribute__((export_name("wasi_thread_start"))) void wasi_thread_start(int id, int which) {
  thread(which);
  atomic_fetch_add(&ended, 1);
  wake(&ended, 1);
}

__attribute__((export_name("_start"))) void start(void) {
  for (int which = 0; which < THREADS; which++) thread_spawn(which);
  for (int seen; (seen = atomic_load(&ended)) != THREADS;) wait_while(&ended, seen);
  int code = check();
  if (code) proc_exit(code);
}
