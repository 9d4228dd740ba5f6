/* Each iteration adds up its share of the numbers and stores the sum in a place of its own. */
#include "wasi_parallel.h"

KERNEL(uint32_t id, uint32_t iterations, uint32_t block_size, const uint32_t *numbers, uint32_t numbers_size,
       uint32_t *sums, uint32_t sums_size) {
    uint32_t count = numbers_size / sizeof(uint32_t), sum = 0;
    uint32_t first = (uint32_t)((uint64_t)count * id / iterations);
    uint32_t last = (uint32_t)((uint64_t)count * (id + 1) / iterations);
    for (uint32_t i = first; i < last; i++) sum += numbers[i];
    sums[id] = sum;
}
