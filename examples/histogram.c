/* How often each byte occurs in pseudo-random text, counted with atomics. Usage: histogram [bytes] */
#include "example.h"

static const unsigned char kernel[] = {
#embed "histogram_kernel.wasm"
};

int main(int argc, char **argv) {
    uint32_t size = argument(argc, argv, 1, 20000), counts[256], expected[256] = {0}, state = 1;
    uint8_t *bytes = malloc(size);
    for (uint32_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        expected[bytes[i] = (uint8_t)('a' + (state >> 24) % 16)]++;
    }
    par_device device;
    CHECK(par_get_device(PAR_CPU, &device));
    par_buffer in = buffer_of(device, PAR_READ, bytes, size);
    par_buffer out = buffer_of(device, PAR_READ_WRITE, NULL, sizeof counts);
    double start = now();
    CHECK(par_exec(device, kernel, sizeof kernel, 50, 1, &in, 1, &out, 1));
    CHECK(par_read_buffer(out, counts, sizeof counts));
    double seconds = now() - start;

    int correct = 1;
    for (int i = 0; i < 256; i++) correct &= counts[i] == expected[i];
    for (int letter = 'a'; letter < 'q'; letter++)
        printf("%c %6u %.*s\n", letter, counts[letter], (int)(counts[letter] * 400 / size),
               "****************************************");
    return report(stdout, "histogram", correct, seconds, device);
}
