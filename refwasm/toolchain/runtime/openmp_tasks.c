/* OpenMP's tasks: each runs at once, on the thread that meets it, which OpenMP allows. So all that a task depends on has
 * run before it. */
#include "openmp.h"
#include <stdlib.h>
#include <string.h>

/* clang's layout. */
struct task {
    void *shareds;
    task_entry entry;
    int32_t part;
    task_entry destructors;
    union { int32_t priority; task_entry other; } data;
};
enum { TIED = 1, FINAL = 2, HAS_DESTRUCTORS = 8 };
/* Stands before a task. */
struct head {
    size_t size;
    uint32_t shareds, flags;
};

static struct head *head_of(struct task *task) { return (struct head *)task - 1; }

struct task *__kmpc_omp_task_alloc(ident *where, int32_t thread, int32_t flags, size_t size, size_t shareds,
                                   task_entry entry) {
    size_t own = (size + 15) & ~(size_t)15;
    struct head *head = calloc(1, sizeof *head + own + shareds);
    if (!head) __builtin_trap();
    *head = (struct head){own + shareds, shareds ? (uint32_t)own : 0, (uint32_t)flags};
    struct task *task = (struct task *)(head + 1);
    task->entry = entry;
    task->shareds = shareds ? (char *)task + own : NULL;
    return task;
}
struct task *__kmpc_omp_target_task_alloc(ident *where, int32_t thread, int32_t flags, size_t size, size_t shareds,
                                          task_entry entry, int64_t device) {
    return __kmpc_omp_task_alloc(where, thread, flags, size, shareds, entry);
}

static void finish(struct task *task) {
    uint32_t flags = head_of(task)->flags;
    if (flags & HAS_DESTRUCTORS && task->destructors) task->destructors(refwasm_number(), task);
    if (flags & TIED) free(head_of(task)); /* others come here once for each of their parts */
}

int32_t __kmpc_omp_task(ident *where, int32_t thread, struct task *task) {
    task->entry(refwasm_number(), task);
    finish(task);
    return 0;
}
int32_t __kmpc_omp_task_parts(ident *where, int32_t thread, struct task *task) { return __kmpc_omp_task(where, thread, task); }
int32_t __kmpc_omp_task_with_deps(ident *where, int32_t thread, struct task *task, int32_t n, void *list, int32_t m,
                                  void *more) {
    return __kmpc_omp_task(where, thread, task);
}
void __kmpc_omp_wait_deps(ident *where, int32_t thread, int32_t n, void *list, int32_t m, void *more) {}
void __kmpc_omp_taskwait_deps_51(ident *where, int32_t thread, int32_t n, void *list, int32_t m, void *more, int32_t nowait) {}
int32_t __kmpc_omp_taskwait(ident *where, int32_t thread) { return 0; }
int32_t __kmpc_omp_taskyield(ident *where, int32_t thread, int32_t end) { return 0; }
void __kmpc_omp_task_begin_if0(ident *where, int32_t thread, struct task *task) {}
void __kmpc_omp_task_complete_if0(ident *where, int32_t thread, struct task *task) { finish(task); }
void __kmpc_taskgroup(ident *where, int32_t thread) {}
void __kmpc_end_taskgroup(ident *where, int32_t thread) {}
int32_t __kmpc_omp_reg_task_with_affinity(ident *where, int32_t thread, struct task *task, int32_t n, void *list) { return 0; }

/* A loop of tasks is one task with all iterations; it is the last one, too. */
void __kmpc_taskloop(ident *where, int32_t thread, struct task *task, int32_t condition, uint64_t *lower, uint64_t *upper,
                     int64_t step, int32_t no_group, int32_t schedule, uint64_t grain, void *duplicate) {
    if (duplicate) {
        struct head *old = head_of(task), *head = malloc(sizeof *head + old->size);
        if (!head) __builtin_trap();
        memcpy(head, old, sizeof *head + old->size);
        struct task *copy = (struct task *)(head + 1);
        if (old->shareds) copy->shareds = (char *)copy + old->shareds;
        ((void (*)(struct task *, struct task *, int32_t))duplicate)(copy, task, 1);
        free(old);
        task = copy;
    }
    __kmpc_omp_task(where, thread, task);
}
void __kmpc_taskloop_5(ident *where, int32_t thread, struct task *task, int32_t condition, uint64_t *lower, uint64_t *upper,
                       int64_t step, int32_t no_group, int32_t schedule, uint64_t grain, int32_t modifier, void *duplicate) {
    __kmpc_taskloop(where, thread, task, condition, lower, upper, step, no_group, schedule, grain, duplicate);
}

/* Reductions over tasks: those of a group run one after the other, so all may add to the variable itself. */
struct reduction {
    void *shared, *original;
    size_t size;
    void *init, *fini, *combine;
    uint32_t flags;
};
void *__kmpc_taskred_init(int32_t thread, int32_t n, struct reduction *data) { return data; }
void *__kmpc_task_reduction_init(int32_t thread, int32_t n, struct reduction *data) { return data; }
/* reduction(task, ...): the thread's part is its private variable, which is combined as in every reduction. */
void *__kmpc_taskred_modifier_init(ident *where, int32_t thread, int32_t worksharing, int32_t n, struct reduction *data) {
    return data;
}
void __kmpc_task_reduction_modifier_fini(ident *where, int32_t thread, int32_t worksharing) {}
void *__kmpc_task_reduction_get_th_data(int32_t thread, void *group, void *data) { return data; }
