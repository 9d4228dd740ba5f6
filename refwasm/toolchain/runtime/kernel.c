/* What runs inside kernels: iterations of loops, threads of teams, work-items of groups. */
#include "region.h"

const char refwasm_kernel_part = 0;

static struct self *enter(struct region *region, uint32_t id) {
    struct self *self = &refwasm_self;
    *self = (struct self){.region = region, .worker = &region->worker[id], .id = id};
    return self;
}

static uint32_t first_of(struct region *region, uint32_t id) {
    return (uint32_t)((uint64_t)region->n * id / region->workers);
}

EXPORT(__refwasm_run_loop) void __refwasm_run_loop(struct region *region, uint32_t id) {
    struct self *self = enter(region, id);
    uint32_t last = first_of(region, id + 1);
    for (uint32_t i = first_of(region, id); i < last; i++) {
        self->iteration = i;
        __refwasm_call_loop(region->context, i);
    }
    self->region = NULL;
}

EXPORT(__refwasm_run_team) void __refwasm_run_team(struct region *region, uint32_t id) {
    struct coroutine *coroutine = &region->worker[id].coroutine;
    if (coroutine->state == DONE) return;
    struct self *self = &refwasm_self;
    if (coroutine->state == NEW) enter(region, id)->iteration = id;
    else self->phase++, self->passed = 0;
    if (!__refwasm_call_team(coroutine, &self->iteration, region->context)) self->region = NULL;
}

/* The work-items of a group take turns from barrier to barrier. */
static void run_items(struct region *region, struct self *self, uint32_t group, struct coroutine *items, char *stacks) {
    uint32_t size = region->item_stack;
    for (uint32_t i = 0; i < region->items; i++) {
        uint32_t low = (uint32_t)(uintptr_t)stacks + i * size;
        items[i] = (struct coroutine){.low = low, .limit = low + size / 4, .high = low + size};
    }
    for (uint32_t left = region->items; left; self->phase++) {
        left = 0;
        for (uint32_t i = 0; i < region->items; i++) {
            if (items[i].state != DONE) left += (uint32_t)__refwasm_call_groups(&items[i], region->context, group, i);
        }
    }
}

EXPORT(__refwasm_run_groups) void __refwasm_run_groups(struct region *region, uint32_t id) {
    struct self *self = enter(region, id);
    char *memory = region->memory + (size_t)region->memory_size * id;
    struct coroutine *items = (struct coroutine *)memory;
    uint32_t used = region->item_stack ? region->items * (region->item_stack + (uint32_t)sizeof *items) : 0;
    uint32_t last = first_of(region, id + 1);
    __refwasm_local = memory + ((used + 4 * region->items + 15) & ~15u);
    for (uint32_t group = first_of(region, id); group < last; group++) {
        self->iteration = group;
        self->phase = 0;
        if (region->item_stack) run_items(region, self, group, items, (char *)(items + region->items));
        else
            for (uint32_t i = 0; i < region->items; i++) __refwasm_call_item(region->context, group, i);
    }
    self->region = NULL;
}

/* Regions inside kernels run on the one that meets them. */
IN_KERNELS(__refwasm_parallel_for)
void __refwasm_kernel___refwasm_parallel_for(body *function, void *context, uint32_t n, uint32_t block) {
    for (uint32_t i = 0; i < n; i++) function(context, i);
}

IN_KERNELS(__refwasm_parallel_groups)
void __refwasm_kernel___refwasm_parallel_groups(
    item_body *function, void *context, uint32_t groups, uint32_t items, uint32_t local) {
    __builtin_trap();
}

/* ---- locks ---- */

static int exchange(struct lock *lock, uint32_t state) {
    return (int)__atomic_exchange_n(&lock->state, state, __ATOMIC_SEQ_CST);
}

static int is_mine(struct lock *lock) {
    return __atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == &refwasm_self;
}

static void take(struct lock *lock) {
    __atomic_store_n(&lock->owner, &refwasm_self, __ATOMIC_RELAXED);
    lock->depth = 1;
}

int refwasm_try_lock(struct lock *lock) {
    if (is_mine(lock)) return (int)++lock->depth;
    uint32_t expected = 0;
    if (!__atomic_compare_exchange_n(&lock->state, &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 0;
    take(lock);
    return 1;
}

void refwasm_lock(struct lock *lock) {
    if (refwasm_try_lock(lock)) return;
    while (exchange(lock, 2) != 0) __builtin_wasm_memory_atomic_wait32((int *)&lock->state, 2, -1);
    take(lock);
}

void refwasm_unlock(struct lock *lock) {
    if (--lock->depth) return;
    __atomic_store_n(&lock->owner, NULL, __ATOMIC_RELAXED);
    if (exchange(lock, 0) == 2) __builtin_wasm_memory_atomic_notify((int *)&lock->state, 1);
}
