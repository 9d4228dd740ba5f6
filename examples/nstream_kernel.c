/* a[i] += b[i] + 3 * c[i], a block of elements for each iteration. */
#include "wasi_parallel.h"

KERNEL(uint32_t id, uint32_t iterations, uint32_t block_size, const float *b, uint32_t b_size, const float *c,
       uint32_t c_size, float *a, uint32_t a_size) {
    uint32_t count = a_size / sizeof(float);
    uint32_t first = (uint32_t)((uint64_t)count * id / iterations);
    uint32_t last = (uint32_t)((uint64_t)count * (id + 1) / iterations);
    for (uint32_t i = first; i < last; i++) a[i] += b[i] + 3.0f * c[i];
}
