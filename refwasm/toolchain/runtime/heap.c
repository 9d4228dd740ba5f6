/* The heap in kernels: the C library's, which knows nothing of threads, under one lock. Outside kernels nobody else runs. */
#include "region.h"
#include <errno.h>
#include <stdlib.h>

const char refwasm_heap_part = 0;

static struct lock heap;

#define LOCKED(type, call)      \
    refwasm_lock(&heap);        \
    type result = call;         \
    refwasm_unlock(&heap);      \
    return result

IN_KERNELS(malloc) void *__refwasm_kernel_malloc(size_t size) { LOCKED(void *, malloc(size)); }
IN_KERNELS(calloc) void *__refwasm_kernel_calloc(size_t n, size_t size) { LOCKED(void *, calloc(n, size)); }
IN_KERNELS(realloc) void *__refwasm_kernel_realloc(void *p, size_t size) { LOCKED(void *, realloc(p, size)); }
IN_KERNELS(aligned_alloc) void *__refwasm_kernel_aligned_alloc(size_t a, size_t n) { LOCKED(void *, aligned_alloc(a, n)); }
IN_KERNELS(posix_memalign) int __refwasm_kernel_posix_memalign(void **p, size_t align, size_t size) {
    LOCKED(int, posix_memalign(p, align, size));
}
IN_KERNELS(free) void __refwasm_kernel_free(void *p) {
    refwasm_lock(&heap);
    free(p);
    refwasm_unlock(&heap);
}
