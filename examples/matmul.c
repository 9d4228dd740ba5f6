/* Product of two n x n matrices of integers. Usage: matmul [n] */
#include "example.h"

static const unsigned char kernel[] = {
#embed "matmul_kernel.wasm"
};

/* Checks c = a * b as Freivalds did: c * x = a * (b * x) for some vectors x. */
static int check(uint32_t n, const int32_t *a, const int32_t *b, const int32_t *c) {
    int correct = 1;
    uint32_t *x = malloc(n * 4), *bx = malloc(n * 4);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < n; i++) x[i] = (i + 1) * 2654435761u >> (round + 3), bx[i] = 0;
        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < n; j++) bx[i] += (uint32_t)b[i * n + j] * x[j];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t left = 0, right = 0;
            for (uint32_t j = 0; j < n; j++)
                left += (uint32_t)c[i * n + j] * x[j], right += (uint32_t)a[i * n + j] * bx[j];
            correct &= left == right;
        }
    }
    return correct;
}

int main(int argc, char **argv) {
    uint32_t n = argument(argc, argv, 1, 32), size = n * n * sizeof(int32_t);
    int32_t *a = malloc(size), *b = malloc(size), *c = malloc(size);
    for (uint32_t i = 0; i < n * n; i++) a[i] = (int32_t)(i % 13) - 6, b[i] = (int32_t)(i % 17) - 8;
    par_device device;
    CHECK(par_get_device(PAR_CPU, &device));
    par_buffer in[] = {buffer_of(device, PAR_READ, a, size), buffer_of(device, PAR_READ, b, size)};
    par_buffer out = buffer_of(device, PAR_WRITE, NULL, size);
    double start = now();
    CHECK(par_exec(device, kernel, sizeof kernel, n, 1, in, 2, &out, 1));
    CHECK(par_read_buffer(out, c, size));
    return report(stdout, "matmul", check(n, a, b, c), now() - start, device);
}
