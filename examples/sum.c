/* The sum benchmark of the proposal: partial sums in parallel. Usage: sum [numbers] */
#include "example.h"

enum { PARTS = 32 };

static const unsigned char kernel[] = {
#embed "sum_kernel.wasm"
};

int main(int argc, char **argv) {
    uint32_t count = argument(argc, argv, 1, 100000), sums[PARTS], sum = 0, expected = 0;
    uint32_t *numbers = malloc(count * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) expected += numbers[i] = i * 2654435761u;

    par_device device;
    CHECK(par_get_device(PAR_CPU, &device));
    par_buffer in = buffer_of(device, PAR_READ, numbers, count * sizeof(uint32_t));
    par_buffer out = buffer_of(device, PAR_WRITE, NULL, sizeof sums);
    double start = now();
    CHECK(par_exec(device, kernel, sizeof kernel, PARTS, 1, &in, 1, &out, 1));
    CHECK(par_read_buffer(out, sums, sizeof sums));
    for (int i = 0; i < PARTS; i++) sum += sums[i];
    double seconds = now() - start;

    printf("sum of %u numbers: %u\n", count, sum);
    return report(stdout, "sum", sum == expected, seconds, device);
}
