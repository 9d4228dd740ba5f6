/* What the run-time library's files share: regions, the workers that run them, what differs in kernels.
 *
 * A *region* is a piece of the program that runs in parallel: a loop, a team of threads, or groups of work-items. The
 * post-link step (refwasm parallelize) makes a kernel module of each function that a region runs, puts it into the
 * program, and enters it into `directory`. The functions here find the kernel and execute it.
 *
 * Conventions, by the names of exported functions; the post-link step relies on them:
 *   __refwasm_kernel_X   takes the place of X inside kernels, where X may be any function of the program;
 *   __refwasm_original_X calls X, so that it can be found where it is not exported itself;
 *   __refwasm_call_K     (K: loop, team, groups) is the region's function inside its kernel;
 *   __refwasm_run_K      is what an iteration of the kernel runs, with a stack and thread-local variables of its own.
 */
#ifndef REFWASM_REGION_H
#define REFWASM_REGION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define _Thread_local thread_local
#endif

#define EXPORT(name) __attribute__((export_name(#name), noinline, used))
/* In place of a function inside kernels. */
#define IN_KERNELS(name) EXPORT(__refwasm_kernel_##name)

/* Threads of a team, unless the program or OMP_NUM_THREADS says otherwise, and at most. */
#define THREADS 4
#define MOST_THREADS 64

enum kind { LOOP, TEAM, GROUPS };
enum flags {
    NEEDS_WORKER = 1, /* it uses the stack or thread-local variables */
    SUSPENDS = 2,     /* it may wait for others at a barrier */
};

/* A kernel that the post-link step has put into the program. Sorted by function, then kind. */
struct kernel {
    uint32_t function; /* the position in the function table, which is what a function pointer is */
    uint32_t kind, flags;
    const void *code;
    uint32_t size;
};

/* Something with a stack that can stop in the middle, and go on there later. The save area, from `low` to `limit`, is
 * where its functions leave their local variables meanwhile. */
struct coroutine {
    enum { NEW, SUSPENDED, DONE } state;
    uint32_t stack_pointer, saved; /* both where it stopped */
    uint32_t low, limit, high;
};

/* One iteration of an execution with a stack and thread-local variables of its own. */
struct worker {
    uint32_t low, high; /* its stack */
    uint32_t thread_locals;
    struct coroutine coroutine; /* of a team's thread */
    struct text *printed;       /* what it printed, the last text first */
};

/* A text that a kernel printed. Texts are shown by iteration, then phase. */
struct text {
    struct text *next;
    uint32_t iteration, phase;
    uint32_t stream, size;
    char bytes[];
};

/* What a kernel gets: its one input buffer. Which fields matter depends on the kind. */
struct region {
    void *context;    /* of a loop or of groups; the argument words of a team */
    uint32_t n;       /* iterations of the loop, threads, or groups */
    uint32_t items;   /* work-items of a group */
    uint32_t workers; /* how many there are, which is the number of iterations of the execution */
    struct worker *worker;
    uint32_t function; /* its position in the function table, where several share a kernel */
    char *memory;     /* for each worker: stacks of work-items, then local memory */
    uint32_t memory_size, item_stack;
    uint32_t began_low, began_high; /* when the execution began, in nanoseconds */
};

/* Who runs: valid in kernels and in the main program (then all zeros, and the region NULL). */
struct self {
    struct region *region;
    struct worker *worker;
    uint32_t id;        /* of the worker */
    uint32_t iteration; /* of the loop, thread of the team, or group */
    uint32_t phase;     /* how many barriers it has passed */
    uint64_t passed;    /* nanoseconds that have passed as far as its clocks tell */
};
extern _Thread_local struct self refwasm_self;
/* The local memory of the group that runs; before it is a word for each work-item, for group algorithms. */
extern _Thread_local char *__refwasm_local;

typedef void body(void *context, uint32_t i);
typedef void item_body(void *context, uint32_t group, uint32_t item);

/* How a program runs regions. */
void __refwasm_parallel_for(body *function, void *context, uint32_t n, uint32_t block);
void __refwasm_parallel_team(const void *function, const uint32_t *arguments, uint32_t threads);
void __refwasm_parallel_groups(item_body *function, void *context, uint32_t groups, uint32_t items, uint32_t local);

/* The region's function, in kernels (region_function.c). */
void __refwasm_call_loop(void *context, uint32_t i);
int __refwasm_call_team(struct coroutine *coroutine, uint32_t *number, const uint32_t *arguments);
int __refwasm_call_groups(struct coroutine *coroutine, void *context, uint32_t group, uint32_t item);
void __refwasm_call_item(void *context, uint32_t group, uint32_t item);

/* In kernels: stop here until all others of the team or group have stopped, too, or ended. */
void __refwasm_suspend(void);

/* A lock that its owner may take again. */
struct lock {
    uint32_t state; /* 0: free; 1: taken; 2: taken, and somebody may wait */
    const void *owner;
    uint32_t depth;
};
void refwasm_lock(struct lock *lock);
int refwasm_try_lock(struct lock *lock);
void refwasm_unlock(struct lock *lock);

/* Show what workers printed, and forget it. */
void refwasm_show_printed(struct region *region);
/* End the program as a kernel asked for with exit(); returns if none did. */
void refwasm_exit_if_asked(void);

/* The interface in the form that the program is linked for (execute.c). */
int refwasm_get_device(uint32_t hint, uint32_t *device);
int refwasm_execute(const struct kernel *kernel, uint32_t device, uint32_t n, uint32_t block, const uint32_t *region);

/* The number in an environment variable, or `standard`. */
uint32_t refwasm_setting(const char *name, uint32_t standard);

#ifdef __cplusplus
}
#endif
#endif
