/* Counts bytes: all iterations add to the same 256 counters, atomically. */
#include "wasi_parallel.h"

KERNEL(uint32_t id, uint32_t iterations, uint32_t block_size, const uint8_t *bytes, uint32_t size, uint32_t *counts,
       uint32_t counts_size) {
    uint32_t first = (uint32_t)((uint64_t)size * id / iterations);
    uint32_t last = (uint32_t)((uint64_t)size * (id + 1) / iterations);
    for (uint32_t i = first; i < last; i++) __atomic_fetch_add(&counts[bytes[i]], 1, __ATOMIC_SEQ_CST);
}
