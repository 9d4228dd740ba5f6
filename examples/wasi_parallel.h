/* wasi-parallel for C: the interface of the proposal's present form (module wasi_ephemeral_parallel).
 *
 * Compile programs with -target wasm32-wasi. A kernel is a module of its own, see build.py for its flags; its source
 * defines one function with KERNEL(...). All functions return 0 or an error number.
 */
#ifndef WASI_PARALLEL_H
#define WASI_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t par_device;
typedef uint32_t par_buffer;

enum par_device_kind { PAR_SEQUENTIAL, PAR_CPU, PAR_DISCRETE_GPU, PAR_INTEGRATED_GPU };
enum par_access { PAR_READ, PAR_WRITE, PAR_READ_WRITE };

/* The proposal leaves error numbers open but for success; these are refwasm's. */
enum par_errno {
    PAR_SUCCESS, PAR_INVALID_DEVICE, PAR_INVALID_BUFFER, PAR_WRONG_DEVICE, PAR_SIZE_MISMATCH, PAR_INVALID_KERNEL,
    PAR_KERNEL_TRAP, PAR_RESOURCE_LIMIT, PAR_UNSUPPORTED
};

#define PAR_IMPORT(name) __attribute__((import_module("wasi_ephemeral_parallel"), import_name(name)))

PAR_IMPORT("get_device") int par_get_device(enum par_device_kind hint, par_device *device);
PAR_IMPORT("create_buffer")
int par_create_buffer(par_device device, uint32_t size, enum par_access kind, par_buffer *buffer);
PAR_IMPORT("write_buffer") int par_write_buffer(const void *data, uint32_t size, par_buffer buffer);
PAR_IMPORT("read_buffer") int par_read_buffer(par_buffer buffer, void *data, uint32_t size);
PAR_IMPORT("parallel_exec")
int par_exec(par_device device, const void *kernel, uint32_t kernel_size, uint32_t iterations, uint32_t block_size,
             const par_buffer *inputs, uint32_t input_count, const par_buffer *outputs, uint32_t output_count);

/* What really runs behind a device: the first kind whose hint gives the same handle. */
static inline const char *par_device_name(par_device device) {
    static const char *const names[] = {"SEQUENTIAL", "CPU", "DISCRETE_GPU", "INTEGRATED_GPU"};
    for (int kind = PAR_SEQUENTIAL; kind <= PAR_INTEGRATED_GPU; kind++) {
        par_device other;
        if (par_get_device((enum par_device_kind)kind, &other) == 0 && other == device) return names[kind];
    }
    return "unknown";
}

/* In kernel sources: the exported function. After id, iterations and block_size come a pointer and a size in bytes for
 * each buffer. */
#define KERNEL __attribute__((export_name("kernel"))) void kernel

#endif
