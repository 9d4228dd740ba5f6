/* What the example programs share: errors, time, the report at the end. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "wasi_parallel.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHECK(call)                                                            \
    do {                                                                       \
        int error = (call);                                                    \
        if (error) {                                                           \
            fprintf(stderr, "%s failed with error %d\n", #call, error);        \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static par_buffer buffer_of(par_device device, enum par_access kind, const void *data, uint32_t size) {
    par_buffer buffer;
    CHECK(par_create_buffer(device, size, kind, &buffer));
    if (data) CHECK(par_write_buffer(data, size, buffer));
    return buffer;
}

static uint32_t argument(int argc, char **argv, int index, uint32_t standard) {
    return index < argc ? (uint32_t)strtoul(argv[index], NULL, 10) : standard;
}

static int report(FILE *out, const char *name, int correct, double seconds, par_device device) {
    fprintf(out, "%s: %s in %.3f s on %s\n", name, correct ? "correct" : "WRONG RESULT", seconds,
            par_device_name(device));
    return correct ? 0 : 1;
}

#endif
