/* One execution of a kernel, in the form of the interface that the program is linked for (REFWASM_FORM: 0 the present one, 1
 * that of 2022, 2 that of 2021). */
#include "region.h"
#include "../include/wasi_parallel.h"

#ifndef REFWASM_FORM
#define REFWASM_FORM 0
#endif

#if REFWASM_FORM == 1
PAR_IMPORT("parallel_for")
int refwasm_for(const void *kernel, uint32_t kernel_size, uint32_t iterations, uint32_t block_size,
                const par_buffer *inputs, uint32_t input_count, const par_buffer *outputs, uint32_t output_count);
#elif REFWASM_FORM == 2
PAR_IMPORT("parallel_for")
int refwasm_for(const void *function, uint32_t iterations, uint32_t block_size, const par_buffer *inputs,
                uint32_t input_count, const par_buffer *outputs, uint32_t output_count);
#endif

int refwasm_get_device(uint32_t hint, par_device *device) {
#if REFWASM_FORM != 0
    if (hint) hint--; /* the older forms count from the CPU on */
#endif
    return par_get_device(hint, device);
}

int refwasm_execute(const struct kernel *kernel, par_device device, uint32_t n, uint32_t block, const par_buffer *region) {
#if REFWASM_FORM == 0
    return par_exec(device, kernel->code, kernel->size, n, block, region, 1, NULL, 0);
#elif REFWASM_FORM == 1
    return refwasm_for(kernel->code, kernel->size, n, block, region, 1, NULL, 0);
#else
    return refwasm_for(kernel->code, n, block, region, 1, NULL, 0);
#endif
}
