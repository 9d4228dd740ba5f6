/* The stream benchmark of the proposal: a[i] += b[i] + 3 * c[i], several rounds. Usage: nstream [elements [rounds]] */
#include "example.h"

static const unsigned char kernel[] = {
#embed "nstream_kernel.wasm"
};

int main(int argc, char **argv) {
    uint32_t count = argument(argc, argv, 1, 20000), rounds = argument(argc, argv, 2, 3), size = count * sizeof(float);
    float *a = calloc(count, sizeof(float)), *b = malloc(size), *c = malloc(size);
    for (uint32_t i = 0; i < count; i++) b[i] = 2, c[i] = (float)(i % 7);

    par_device device;
    CHECK(par_get_device(PAR_CPU, &device));
    par_buffer in[] = {buffer_of(device, PAR_READ, b, size), buffer_of(device, PAR_READ, c, size)};
    par_buffer out[] = {buffer_of(device, PAR_READ_WRITE, a, size)};
    double start = now();
    for (uint32_t round = 0; round < rounds; round++)
        CHECK(par_exec(device, kernel, sizeof kernel, 64, 1, in, 2, out, 1));
    CHECK(par_read_buffer(out[0], a, size));
    double seconds = now() - start;

    int correct = 1;
    for (uint32_t i = 0; i < count; i++) correct &= a[i] == (float)rounds * (2 + 3.0f * (float)(i % 7));
    return report(stdout, "nstream", correct, seconds, device);
}
