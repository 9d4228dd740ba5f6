/* wasi-parallel for C and C++.
 *
 * Two ways lead to a parallel loop. `refwasm cc` makes kernels out of functions: wasi_parallel_for(body, context, n) calls
 * body(context, i) for i from 0 to n - 1, in any order and at once; in C++, par::for_each(n, [&](uint32_t i) { ... })
 * does the same with a lambda. Or a program calls the five functions of the proposal's interface itself (module
 * wasi_ephemeral_parallel, present form), with a kernel that is a module of its own; its source defines one function with
 * KERNEL(...). These functions return 0 or an error number.
 */
#ifndef WASI_PARALLEL_H
#define WASI_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t par_device;
typedef uint32_t par_buffer;

#ifdef __cplusplus
extern "C" {
#endif

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

/* ---- loops that refwasm cc makes kernels of ---- */

/* One iteration of a loop. */
typedef void (*wasi_parallel_body)(void *context, uint32_t i);

void __refwasm_parallel_for(wasi_parallel_body body, void *context, uint32_t n, uint32_t block);

/* Calls body(context, i) for each i below n, in any order and at once; returns when all are done. A trap in one of them
 * ends the program. What is printed appears in the order of the iterations. */
static inline void wasi_parallel_for(wasi_parallel_body body, void *context, uint32_t n) {
    __refwasm_parallel_for(body, context, n, 1);
}

/* The device that loops run on from now on; before, and with a hint that the host can't follow, the CPU. */
void wasi_parallel_use(enum par_device_kind hint);

#ifdef __cplusplus
}

template <class T> struct __refwasm_remove_reference { using type = T; };
template <class T> struct __refwasm_remove_reference<T &> { using type = T; };
template <class T> struct __refwasm_remove_reference<T &&> { using type = T; };

namespace par {

/* As wasi_parallel_for; the lambda may capture, also by reference: iterations see the caller's memory. */
template <class Body> void for_each(uint32_t n, Body &&body) {
    using Plain = typename __refwasm_remove_reference<Body>::type;
    __refwasm_parallel_for([](void *context, uint32_t i) { (*static_cast<Plain *>(context))(i); },
                           const_cast<void *>(static_cast<const volatile void *>(&body)), n, 1);
}

} // namespace par
#endif

/* In kernel sources: the exported function. After id, iterations and block_size come a pointer and a size in bytes for
 * each buffer. */
#define KERNEL __attribute__((export_name("kernel"))) void kernel

#endif
