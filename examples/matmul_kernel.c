/* One row of the product of two square matrices for each iteration. */
#include "wasi_parallel.h"

KERNEL(uint32_t row, uint32_t n, uint32_t block_size, const int32_t *a, uint32_t a_size, const int32_t *b,
       uint32_t b_size, int32_t *c, uint32_t c_size) {
    for (uint32_t column = 0; column < n; column++) {
        int32_t sum = 0;
        for (uint32_t k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + column];
        c[row * n + column] = sum;
    }
}
