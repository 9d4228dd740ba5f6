/* Runs regions: finds the kernel of a function, gives every iteration a stack, executes, shows what was printed. */
#include "region.h"
#include "../include/wasi_parallel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A loop's iterations, or groups, that need a stack are dealt out among so many workers at most. */
#define MOST_CHUNKS 32
/* Bytes that a coroutine's stack has below it for local variables of functions that wait at a barrier. */
#define SAVE_AREA 4096u
/* Bytes at a worker's stack that belong to the functions here, and not to the coroutine that they run. */
#define RUNNER 1024u
/* Bytes of a work-item's stack, unless REFWASM_ITEM_STACK says otherwise. */
#define ITEM_STACK 24576u
/* Bytes of all stacks of work-items and local memories at most, as long as one group has enough. */
#define GROUP_MEMORY (128u << 20)

/* The post-link step finds it by its mark, and fills in the kernels. */
struct directory {
    char mark[16];
    uint32_t count;
    const struct kernel *kernels;
    struct region **region;
};

/* What kernels need beside what the program calls itself is linked for these. */
extern const char refwasm_kernel_part, refwasm_heap_part, refwasm_originals_part;
__attribute__((used)) static const char *const parts[] = {
    &refwasm_kernel_part, &refwasm_heap_part, &refwasm_originals_part,
};

static struct region *current;
__attribute__((used)) static volatile struct directory directory = {
    {'r', 'e', 'f', 'w', 'a', 's', 'm', ' ', 'k', 'e', 'r', 'n', 'e', 'l', 's', '1'}, 0, NULL, &current,
};

_Thread_local struct self refwasm_self;
_Thread_local char *__refwasm_local;

static par_device device;
static enum par_device_kind hint = PAR_CPU;
static struct worker workers[MOST_THREADS];
static uint32_t ready; /* how many of them have a stack and thread-local variables */

extern void __wasm_init_tls(void *);

static _Noreturn void fail(const char *what, int error) {
    fflush(NULL);
    fprintf(stderr, "wasi-parallel: %s (error %d)\n", what, error);
    abort();
}

uint32_t refwasm_setting(const char *name, uint32_t standard) {
    const char *text = getenv(name);
    if (!text || *text < '0' || *text > '9') return standard;
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end == 'k' || *end == 'K') value <<= 10;
    if (*end == 'm' || *end == 'M') value <<= 20;
    if (*end == 'g' || *end == 'G') value <<= 30;
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

void wasi_parallel_use(enum par_device_kind kind) {
    if (hint == kind) return;
    hint = kind;
    device = 0;
}

static const struct kernel *find(uint32_t function, uint32_t kind) {
    const struct kernel *kernels = directory.kernels;
    uint32_t low = 0, high = directory.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct kernel *k = &kernels[middle];
        if (k->function == function && k->kind == kind) return k;
        if (k->function < function || (k->function == function && k->kind < kind)) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* ---- workers ---- */

/* Bytes of a worker's stack. OMP_STACKSIZE without a unit counts kilobytes. */
static uint32_t stack_size(void) {
    const char *text = getenv("OMP_STACKSIZE");
    uint32_t size = refwasm_setting("OMP_STACKSIZE", 4u << 20);
    if (text && text[strspn(text, "0123456789")] == 0) size <<= 10;
    if (size < 16384) size = 16384;
    return (size + 15) & ~15u;
}

/* The first worker of a team is the program's own thread: it has its thread-local variables. */
static uint32_t thread_locals(uint32_t id) {
    void *own = __builtin_wasm_tls_base();
    if (id == 0) return (uint32_t)(uintptr_t)own;
    size_t align = __builtin_wasm_tls_align() < 16 ? 16 : __builtin_wasm_tls_align();
    void *block = aligned_alloc(align, (__builtin_wasm_tls_size() + align - 1) & -align);
    if (!block) fail("no memory for thread-local variables", PAR_RESOURCE_LIMIT);
    __wasm_init_tls(block);
    __asm__("local.get %0\n global.set __tls_base" : : "r"(own));
    return (uint32_t)(uintptr_t)block;
}

static void prepare(uint32_t count) {
    for (; ready < count; ready++) {
        uint32_t size = stack_size();
        char *stack = aligned_alloc(16, size);
        if (!stack) fail("no memory for the stacks of workers", PAR_RESOURCE_LIMIT);
        workers[ready].low = (uint32_t)(uintptr_t)stack;
        workers[ready].high = workers[ready].low + size;
        workers[ready].thread_locals = thread_locals(ready);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct worker *w = &workers[i];
        w->printed = NULL;
        w->coroutine = (struct coroutine){.low = w->low, .limit = w->low + SAVE_AREA, .high = w->high - RUNNER};
    }
}

/* ---- executions ---- */

/* One execution of a kernel. */
static void execute(const struct kernel *kernel, struct region *region, uint32_t iterations, uint32_t block) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t nanoseconds = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    region->began_low = (uint32_t)nanoseconds;
    region->began_high = (uint32_t)(nanoseconds >> 32);
    int error = device ? 0 : refwasm_get_device(hint, &device);
    static par_buffer buffer;
    static par_device owner;
    if (!error && owner != device) error = par_create_buffer(device, sizeof *region, PAR_READ, &buffer), owner = device;
    if (!error) error = par_write_buffer(region, sizeof *region, buffer);
    if (!error) error = refwasm_execute(kernel, device, iterations, block, &buffer);
    if (!error) return;
    refwasm_show_printed(region);
    refwasm_exit_if_asked();
    fail(error == PAR_KERNEL_TRAP ? "a parallel region trapped" : "a parallel region could not run", error);
}

static void begin(struct region *region) {
    fflush(stdout);
    getenv(""); /* reads the environment, which kernels can't do */
    current = region;
}

static void end(struct region *region) {
    current = NULL;
    refwasm_show_printed(region);
    refwasm_exit_if_asked();
}

struct indirect {
    body *function;
    void *context;
};

/* The function of a loop whose function pointer is only known at run time. */
EXPORT(__refwasm_call_pointer) void __refwasm_call_pointer(void *context, uint32_t i) {
    const struct indirect *call = context;
    call->function(call->context, i);
}

EXPORT(__refwasm_parallel_for)
void __refwasm_parallel_for(body *function, void *context, uint32_t n, uint32_t block) {
    struct indirect call = {function, context};
    const struct kernel *kernel = find((uint32_t)(uintptr_t)function, LOOP);
    if (!kernel) {
        kernel = find((uint32_t)(uintptr_t)__refwasm_call_pointer, LOOP);
        context = &call;
    }
    if (!kernel) fail("the program has no kernels: finish it with `refwasm parallelize`", PAR_INVALID_KERNEL);
    struct region region = {.context = context, .n = n, .worker = workers, .function = kernel->function};
    begin(&region);
    uint32_t iterations = n;
    if (kernel->flags & NEEDS_WORKER) {
        iterations = region.workers = n < MOST_CHUNKS ? n : MOST_CHUNKS;
        prepare(iterations);
    }
    execute(kernel, &region, iterations, block);
    end(&region);
}

EXPORT(__refwasm_parallel_team)
void __refwasm_parallel_team(const void *function, const uint32_t *arguments, uint32_t threads) {
    const struct kernel *kernel = find((uint32_t)(uintptr_t)function, TEAM);
    if (!kernel) fail("the program has no kernel for a region: finish it with `refwasm parallelize`", PAR_INVALID_KERNEL);
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    struct region region = {
        .context = (void *)arguments, .n = threads, .workers = threads, .worker = workers, .function = kernel->function,
    };
    prepare(threads);
    begin(&region);
    for (uint32_t left = threads; left;) { /* once for each phase between barriers */
        execute(kernel, &region, threads, 1);
        left = 0;
        for (uint32_t i = 0; i < threads; i++) left += workers[i].coroutine.state == SUSPENDED;
    }
    end(&region);
}

EXPORT(__refwasm_parallel_groups)
void __refwasm_parallel_groups(item_body *function, void *context, uint32_t groups, uint32_t items, uint32_t local) {
    const struct kernel *kernel = find((uint32_t)(uintptr_t)function, GROUPS);
    if (!kernel) fail("the program has no kernel for a region: finish it with `refwasm parallelize`", PAR_INVALID_KERNEL);
    uint32_t count = groups < MOST_CHUNKS ? groups : MOST_CHUNKS;
    uint32_t stack = (refwasm_setting("REFWASM_ITEM_STACK", ITEM_STACK) + 15) & ~15u;
    uint32_t each = stack + (uint32_t)sizeof(struct coroutine);
    uint64_t size = ((kernel->flags & SUSPENDS ? (uint64_t)items * each : 0) + 4ull * items + local + 79) & ~63ull;
    if (count && size * count > GROUP_MEMORY) count = size < GROUP_MEMORY ? (uint32_t)(GROUP_MEMORY / size) : 1;
    char *memory = count && size * count < UINT32_MAX ? aligned_alloc(64, (size_t)size * count + 64) : NULL;
    if (count && !memory) fail("no memory for the work-items of groups", PAR_RESOURCE_LIMIT);
    struct region region = {
        .context = context, .n = groups, .items = items, .workers = count, .worker = workers,
        .function = kernel->function,
        .memory = memory, .memory_size = (uint32_t)size, .item_stack = kernel->flags & SUSPENDS ? stack : 0,
    };
    prepare(count);
    begin(&region);
    execute(kernel, &region, count, 1);
    end(&region);
    free(memory);
}

/* The post-link step has these layouts, too (refwasm/toolchain/entry.py, splice.py). */
_Static_assert(sizeof(struct worker) == 40 && offsetof(struct worker, thread_locals) == 8, "struct worker");
_Static_assert(offsetof(struct worker, coroutine) == 12 && sizeof(struct coroutine) == 24, "struct coroutine");
_Static_assert(offsetof(struct coroutine, saved) == 8 && offsetof(struct coroutine, high) == 20, "struct coroutine");
_Static_assert(offsetof(struct region, context) == 0 && offsetof(struct region, worker) == 16, "struct region");
_Static_assert(offsetof(struct region, function) == 20, "struct region");
_Static_assert(sizeof(struct kernel) == 20 && offsetof(struct directory, kernels) == 20, "struct directory");
