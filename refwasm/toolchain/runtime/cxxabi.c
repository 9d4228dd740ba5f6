/* What the C++ library's run-time part lacks where it is built without threads. */
#include "region.h"

/* ---- destructors of thread-local objects: the program's own thread's run when it ends; workers never end ---- */

int __cxa_atexit(void (*destroy)(void *), void *object, void *library);

int __cxa_thread_atexit(void (*destroy)(void *), void *object, void *library) {
    return refwasm_self.region ? 0 : __cxa_atexit(destroy, object, library);
}

/* ---- static variables of functions: whoever comes second waits until they are initialised ---- */

enum { FREE, BUSY, DONE_BIT = 1 };

/* A guard has a byte that says whether the variable is ready, which compiled code looks at, and one of ours. */
int __cxa_guard_acquire(uint8_t *guard) {
    for (;;) {
        if (__atomic_load_n(&guard[0], __ATOMIC_ACQUIRE) == DONE_BIT) return 0;
        uint8_t expected = FREE;
        if (__atomic_compare_exchange_n(&guard[1], &expected, BUSY, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) break;
        static int nothing;
        if (!refwasm_self.region) __builtin_trap(); /* it would wait for itself */
        __builtin_wasm_memory_atomic_wait32(&nothing, 0, 20000);
    }
    if (__atomic_load_n(&guard[0], __ATOMIC_ACQUIRE) != DONE_BIT) return 1;
    __atomic_store_n(&guard[1], FREE, __ATOMIC_SEQ_CST);
    return 0;
}
void __cxa_guard_release(uint8_t *guard) {
    __atomic_store_n(&guard[0], DONE_BIT, __ATOMIC_SEQ_CST);
    __atomic_store_n(&guard[1], FREE, __ATOMIC_SEQ_CST);
}
void __cxa_guard_abort(uint8_t *guard) { __atomic_store_n(&guard[1], FREE, __ATOMIC_SEQ_CST); }
