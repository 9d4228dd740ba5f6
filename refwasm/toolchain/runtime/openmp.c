/* OpenMP: teams, synchronisation, the functions of omp.h. */
#include "openmp.h"
#include "../include/omp.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct team refwasm_team = {.size = 1};
static _Thread_local struct thread own;
static int wanted, wanted_once, nested, dynamic, levels = 1;
static int schedule_kind, schedule_chunk;
static omp_allocator_handle_t allocator = omp_default_mem_alloc;

/* ---- threads ---- */

static int in_team(void) { return refwasm_self.region != NULL; }

struct thread *refwasm_thread(void) {
    if (in_team() && own.region != refwasm_team.region)
        own = (struct thread){.region = refwasm_team.region, .construct = &refwasm_team.first};
    return &own;
}

static int alone(void) { return !in_team() || refwasm_thread()->serial || refwasm_team.size == 1; }
int32_t refwasm_number(void) { return alone() ? 0 : (int32_t)refwasm_self.iteration; }
int32_t refwasm_size(void) { return alone() ? 1 : (int32_t)refwasm_team.size; }

void refwasm_barrier(void) {
    if (!alone()) __refwasm_suspend();
}

/* Outside of teams a construct is forgotten as soon as the next one is met. */
struct construct *refwasm_next_construct(void) {
    static struct construct serial;
    if (alone()) {
        struct construct *c = in_team() ? calloc(1, sizeof *c) : &serial;
        serial = (struct construct){0};
        return c;
    }
    struct thread *thread = refwasm_thread();
    refwasm_lock(&refwasm_team.lock);
    if (!thread->construct->next) thread->construct->next = calloc(1, sizeof *thread->construct);
    thread->construct = thread->construct->next;
    refwasm_unlock(&refwasm_team.lock);
    return thread->construct;
}

static int most_threads(void) { return wanted < 1 ? 1 : wanted > MOST_THREADS ? MOST_THREADS : wanted; }

/* ---- parallel regions ---- */

static uint32_t begin_team(void) {
    int size = wanted_once ? wanted_once : most_threads();
    wanted_once = 0;
    if (size > MOST_THREADS) size = MOST_THREADS;
    refwasm_team = (struct team){.region = refwasm_team.region + 1, .size = (uint32_t)size};
    return (uint32_t)size;
}

static void end_team(void) {
    for (struct construct *c = refwasm_team.first.next, *next; c; c = next) {
        next = c->next;
        for (struct finished *f = c->finished, *after; f; f = after) after = f->next, free(f);
        free(c->data);
        free(c);
    }
    refwasm_team.first.next = NULL;
    refwasm_team.size = 1;
}

static const uint32_t *words(va_list arguments) { return *(const uint32_t **)&arguments; }

EXPORT(__kmpc_fork_call) void __kmpc_fork_call(ident *where, int32_t count, const void *function, ...) {
    va_list arguments;
    va_start(arguments, function);
    uint32_t size = begin_team();
    __refwasm_parallel_team(function, words(arguments), size);
    end_team();
    va_end(arguments);
}

EXPORT(__kmpc_fork_call_if)
void __kmpc_fork_call_if(ident *where, int32_t count, const void *function, int32_t condition, void *argument) {
    if (!condition) wanted_once = 1;
    uint32_t word = (uint32_t)(uintptr_t)argument, size = begin_team();
    __refwasm_parallel_team(function, &word, size);
    end_team();
}

/* Call a function of a team with one thread. clang passes words only, one for each variable. */
#define U uint32_t
#define U8 U, U, U, U, U, U, U, U
#define W4(i) w[i], w[i + 1], w[i + 2], w[i + 3]
#define W8(i) W4(i), W4(i + 4)
#define CALL(n, types, ...) \
    case n: ((void (*)types)function)(&number, &number, ##__VA_ARGS__); break;
#define P int32_t *, int32_t *
static void call(const void *function, int32_t count, const uint32_t *w) {
    int32_t number = 0;
    switch (count) {
        CALL(0, (P))
        CALL(1, (P, U), w[0])
        CALL(2, (P, U, U), w[0], w[1])
        CALL(3, (P, U, U, U), w[0], w[1], w[2])
        CALL(4, (P, U, U, U, U), W4(0))
        CALL(5, (P, U, U, U, U, U), W4(0), w[4])
        CALL(6, (P, U, U, U, U, U, U), W4(0), w[4], w[5])
        CALL(7, (P, U, U, U, U, U, U, U), W4(0), w[4], w[5], w[6])
        CALL(8, (P, U8), W8(0))
        CALL(9, (P, U8, U), W8(0), w[8])
        CALL(10, (P, U8, U, U), W8(0), w[8], w[9])
        CALL(11, (P, U8, U, U, U), W8(0), w[8], w[9], w[10])
        CALL(12, (P, U8, U, U, U, U), W8(0), W4(8))
        CALL(13, (P, U8, U, U, U, U, U), W8(0), W4(8), w[12])
        CALL(14, (P, U8, U, U, U, U, U, U), W8(0), W4(8), w[12], w[13])
        CALL(15, (P, U8, U, U, U, U, U, U, U), W8(0), W4(8), w[12], w[13], w[14])
        CALL(16, (P, U8, U8), W8(0), W8(8))
        CALL(17, (P, U8, U8, U), W8(0), W8(8), w[16])
        CALL(18, (P, U8, U8, U, U), W8(0), W8(8), w[16], w[17])
        CALL(19, (P, U8, U8, U, U, U), W8(0), W8(8), w[16], w[17], w[18])
        CALL(20, (P, U8, U8, U, U, U, U), W8(0), W8(8), W4(16))
        CALL(21, (P, U8, U8, U, U, U, U, U), W8(0), W8(8), W4(16), w[20])
        CALL(22, (P, U8, U8, U, U, U, U, U, U), W8(0), W8(8), W4(16), w[20], w[21])
        CALL(23, (P, U8, U8, U, U, U, U, U, U, U), W8(0), W8(8), W4(16), w[20], w[21], w[22])
        CALL(24, (P, U8, U8, U8), W8(0), W8(8), W8(16))
        CALL(25, (P, U8, U8, U8, U), W8(0), W8(8), W8(16), w[24])
        CALL(26, (P, U8, U8, U8, U, U), W8(0), W8(8), W8(16), w[24], w[25])
        CALL(27, (P, U8, U8, U8, U, U, U), W8(0), W8(8), W8(16), w[24], w[25], w[26])
        CALL(28, (P, U8, U8, U8, U, U, U, U), W8(0), W8(8), W8(16), W4(24))
        CALL(29, (P, U8, U8, U8, U, U, U, U, U), W8(0), W8(8), W8(16), W4(24), w[28])
        CALL(30, (P, U8, U8, U8, U, U, U, U, U, U), W8(0), W8(8), W8(16), W4(24), w[28], w[29])
        CALL(31, (P, U8, U8, U8, U, U, U, U, U, U, U), W8(0), W8(8), W8(16), W4(24), w[28], w[29], w[30])
        CALL(32, (P, U8, U8, U8, U8), W8(0), W8(8), W8(16), W8(24))
        default: __builtin_trap(); /* more than 32 variables shared with a nested region */
    }
}

static void begin_serial(void) { refwasm_thread()->serial++; }
static void end_serial(void) { refwasm_thread()->serial--; }

/* Inside a parallel region another one has one thread. */
IN_KERNELS(__kmpc_fork_call)
void __refwasm_kernel___kmpc_fork_call(ident *where, int32_t count, const void *function, ...) {
    va_list arguments;
    va_start(arguments, function);
    begin_serial();
    call(function, count, words(arguments));
    end_serial();
    va_end(arguments);
}

IN_KERNELS(__kmpc_fork_call_if)
void __refwasm_kernel___kmpc_fork_call_if(ident *where, int32_t n, const void *function, int32_t condition, void *argument) {
    uint32_t word = (uint32_t)(uintptr_t)argument;
    begin_serial();
    call(function, 1, &word);
    end_serial();
}

/* A league of teams has one team; its parallel regions use all threads. */
void __kmpc_fork_teams(ident *where, int32_t count, const void *function, ...) {
    va_list arguments;
    va_start(arguments, function);
    call(function, count, words(arguments));
    va_end(arguments);
}

void __kmpc_push_num_threads(ident *where, int32_t thread, int32_t threads) {
    if (!in_team()) wanted_once = threads > 0 ? threads : 0;
}
void __kmpc_push_num_teams(ident *where, int32_t thread, int32_t teams, int32_t threads) {
    __kmpc_push_num_threads(where, thread, threads);
}
void __kmpc_push_num_teams_51(ident *where, int32_t thread, int32_t low, int32_t high, int32_t threads) {
    __kmpc_push_num_threads(where, thread, threads);
}
void __kmpc_set_thread_limit(ident *where, int32_t thread, int32_t limit) {}
void __kmpc_push_proc_bind(ident *where, int32_t thread, int32_t bind) {}
int32_t __kmpc_global_thread_num(ident *where) { return refwasm_number(); }
int32_t __kmpc_global_num_threads(ident *where) { return refwasm_size(); }
int32_t __kmpc_bound_thread_num(ident *where) { return refwasm_number(); }
int32_t __kmpc_bound_num_threads(ident *where) { return refwasm_size(); }
int32_t __kmpc_in_parallel(ident *where) { return !alone(); }
void __kmpc_serialized_parallel(ident *where, int32_t thread) {
    wanted_once = 0;
    begin_serial();
}
void __kmpc_end_serialized_parallel(ident *where, int32_t thread) { end_serial(); }
void __kmpc_begin(ident *where, int32_t flags) {}
void __kmpc_end(ident *where) {}

/* ---- synchronisation ---- */

EXPORT(__kmpc_barrier) void __kmpc_barrier(ident *where, int32_t thread) { refwasm_barrier(); }
int32_t __kmpc_cancel_barrier(ident *where, int32_t thread) { return refwasm_barrier(), 0; }
int32_t __kmpc_cancel(ident *where, int32_t thread, int32_t kind) { return 0; } /* as with OMP_CANCELLATION=false */
int32_t __kmpc_cancellationpoint(ident *where, int32_t thread, int32_t kind) { return 0; }

/* Threads that look for something again and again wait for another thread: it gets a chance to run. */
void __kmpc_flush(ident *where) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    struct thread *thread = refwasm_thread();
    if (thread->phase != refwasm_self.phase) thread->phase = refwasm_self.phase, thread->flushes = 0;
    if (++thread->flushes > 1000) refwasm_barrier();
}

/* A critical section's name is 32 bytes of zeros at first. */
void __kmpc_critical(ident *where, int32_t thread, struct lock *lock) {
    if (!alone()) refwasm_lock(lock);
}
void __kmpc_critical_with_hint(ident *where, int32_t thread, struct lock *lock, uint32_t hint) {
    __kmpc_critical(where, thread, lock);
}
void __kmpc_end_critical(ident *where, int32_t thread, struct lock *lock) {
    if (!alone()) refwasm_unlock(lock);
}

int32_t __kmpc_master(ident *where, int32_t thread) { return refwasm_number() == 0; }
void __kmpc_end_master(ident *where, int32_t thread) {}
int32_t __kmpc_masked(ident *where, int32_t thread, int32_t filter) { return refwasm_number() == filter; }
void __kmpc_end_masked(ident *where, int32_t thread) {}

int32_t __kmpc_single(ident *where, int32_t thread) {
    return alone() || __atomic_exchange_n(&refwasm_next_construct()->taken, 1, __ATOMIC_SEQ_CST) == 0;
}
void __kmpc_end_single(ident *where, int32_t thread) {}
void __kmpc_scope(ident *where, int32_t thread, void *data) {}
void __kmpc_end_scope(ident *where, int32_t thread, void *data) {}

void __kmpc_copyprivate(ident *where, int32_t thread, size_t size, void *data, void (*copy)(void *, void *), int32_t did) {
    if (alone()) return;
    struct construct *c = refwasm_next_construct();
    if (did) __atomic_store_n(&c->taken, (uint64_t)(uintptr_t)data, __ATOMIC_SEQ_CST);
    refwasm_barrier();
    if (!did) copy(data, (void *)(uintptr_t)c->taken);
    refwasm_barrier();
}
void *__kmpc_copyprivate_light(ident *where, int32_t thread, void *data) {
    if (alone()) return data;
    struct construct *c = refwasm_next_construct();
    if (data) __atomic_store_n(&c->taken, (uint64_t)(uintptr_t)data, __ATOMIC_SEQ_CST);
    refwasm_barrier();
    return (void *)(uintptr_t)c->taken;
}

/* Reductions: every thread adds its part under the reduction's lock. */
int32_t __kmpc_reduce_nowait(ident *where, int32_t thread, int32_t n, size_t size, void *data,
                             void (*reduce)(void *, void *), struct lock *lock) {
    __kmpc_critical(where, thread, lock);
    return 1;
}
void __kmpc_end_reduce_nowait(ident *where, int32_t thread, struct lock *lock) { __kmpc_end_critical(where, thread, lock); }
int32_t __kmpc_reduce(ident *where, int32_t thread, int32_t n, size_t size, void *data,
                      void (*reduce)(void *, void *), struct lock *lock) {
    __kmpc_critical(where, thread, lock);
    return 1;
}
void __kmpc_end_reduce(ident *where, int32_t thread, struct lock *lock) {
    __kmpc_end_critical(where, thread, lock);
    refwasm_barrier();
}

/* ---- locks: a word that says whether they are taken; whoever waits lets the others run ---- */

static int try_word(uint32_t *word) {
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(word, &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}
static void wait_word(uint32_t *word) {
    while (!try_word(word)) {
        if (alone()) __builtin_trap(); /* it would wait for ever */
        __builtin_wasm_memory_atomic_wait32((int *)word, 1, 100000);
        if (try_word(word)) return;
        __refwasm_suspend();
    }
}
static void free_word(uint32_t *word) {
    __atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
    __builtin_wasm_memory_atomic_notify((int *)word, 1);
}

void omp_init_lock(omp_lock_t *lock) { memset(lock, 0, sizeof *lock); }
void omp_init_lock_with_hint(omp_lock_t *lock, omp_sync_hint_t hint) { omp_init_lock(lock); }
void omp_destroy_lock(omp_lock_t *lock) {}
void omp_set_lock(omp_lock_t *lock) { wait_word(lock->words); }
void omp_unset_lock(omp_lock_t *lock) { free_word(lock->words); }
int omp_test_lock(omp_lock_t *lock) {
    if (try_word(lock->words)) return 1;
    __kmpc_flush(NULL);
    return 0;
}

static uint32_t me(void) { return (uint32_t)refwasm_number() + 1; }
void omp_init_nest_lock(omp_nest_lock_t *lock) { memset(lock, 0, sizeof *lock); }
void omp_init_nest_lock_with_hint(omp_nest_lock_t *lock, omp_sync_hint_t hint) { omp_init_nest_lock(lock); }
void omp_destroy_nest_lock(omp_nest_lock_t *lock) {}
void omp_set_nest_lock(omp_nest_lock_t *lock) {
    if (__atomic_load_n(&lock->words[1], __ATOMIC_SEQ_CST) != me()) wait_word(lock->words);
    __atomic_store_n(&lock->words[1], me(), __ATOMIC_SEQ_CST);
    lock->words[2]++;
}
void omp_unset_nest_lock(omp_nest_lock_t *lock) {
    if (--lock->words[2]) return;
    __atomic_store_n(&lock->words[1], 0, __ATOMIC_SEQ_CST);
    free_word(lock->words);
}
int omp_test_nest_lock(omp_nest_lock_t *lock) {
    if (__atomic_load_n(&lock->words[1], __ATOMIC_SEQ_CST) != me() && !try_word(lock->words)) return __kmpc_flush(NULL), 0;
    __atomic_store_n(&lock->words[1], me(), __ATOMIC_SEQ_CST);
    return (int)++lock->words[2];
}

/* ---- the other functions of omp.h ---- */

void omp_set_num_threads(int threads) {
    if (threads > 0) wanted = threads;
}
int omp_get_num_threads(void) { return refwasm_size(); }
int omp_get_max_threads(void) { return most_threads(); }
int omp_get_thread_num(void) { return refwasm_number(); }
int omp_get_num_procs(void) { return most_threads(); }
int omp_in_parallel(void) { return in_team() && refwasm_team.size > 1; }
int omp_get_thread_limit(void) { return MOST_THREADS; }
int omp_get_level(void) { return in_team() + (int)refwasm_thread()->serial; }
int omp_get_active_level(void) { return omp_in_parallel(); }
int omp_get_ancestor_thread_num(int level) {
    if (level < 0 || level > omp_get_level()) return -1;
    return level == 1 && in_team() ? (int)refwasm_self.iteration : 0;
}
int omp_get_team_size(int level) {
    if (level < 0 || level > omp_get_level()) return -1;
    return level == 1 && in_team() ? (int)refwasm_team.size : 1;
}
void omp_set_dynamic(int value) { dynamic = value != 0; }
int omp_get_dynamic(void) { return dynamic; }
void omp_set_nested(int value) { nested = value != 0; }
int omp_get_nested(void) { return nested; }
void omp_set_max_active_levels(int value) {
    if (value >= 0) levels = value;
}
int omp_get_max_active_levels(void) { return levels; }
int omp_get_supported_active_levels(void) { return 1; }
int omp_get_cancellation(void) { return 0; }
int omp_in_final(void) { return 0; }
int omp_get_max_task_priority(void) { return 0; }
int omp_get_num_teams(void) { return 1; }
int omp_get_team_num(void) { return 0; }
int omp_get_max_teams(void) { return 1; }
void omp_set_num_teams(int teams) {}
int omp_get_teams_thread_limit(void) { return MOST_THREADS; }
void omp_set_teams_thread_limit(int limit) {}
omp_proc_bind_t omp_get_proc_bind(void) { return omp_proc_bind_false; }
int omp_get_num_places(void) { return 0; }
int omp_get_place_num_procs(int place) { return 0; }
void omp_get_place_proc_ids(int place, int *ids) {}
int omp_get_place_num(void) { return -1; }
int omp_get_partition_num_places(void) { return 0; }
void omp_get_partition_place_nums(int *places) {}

void omp_set_schedule(omp_sched_t kind, int chunk) {
    schedule_kind = (int)kind & 7;
    schedule_chunk = chunk;
}

/* OMP_SCHEDULE, such as dynamic,4. */
static void read_schedule(void) {
    static const char *const names[] = {"static", "dynamic", "guided", "auto"};
    const char *text = getenv("OMP_SCHEDULE");
    schedule_kind = omp_sched_static;
    if (text && strchr(text, ':')) text = strchr(text, ':') + 1; /* a modifier */
    for (int i = 0; text && i < 4; i++)
        if (strncmp(text, names[i], strlen(names[i])) == 0) schedule_kind = i + 1;
    const char *comma = text ? strchr(text, ',') : NULL;
    if (comma) schedule_chunk = atoi(comma + 1);
}
void omp_get_schedule(omp_sched_t *kind, int *chunk) {
    *kind = (omp_sched_t)schedule_kind;
    *chunk = schedule_chunk < 1 && schedule_kind != omp_sched_static ? 1 : schedule_chunk;
}
void refwasm_schedule(int *kind, int64_t *chunk) {
    *kind = schedule_kind == omp_sched_static && schedule_chunk > 0 ? 33 : 33 + schedule_kind;
    *chunk = schedule_chunk;
}
/* Kernels can't ask for environment variables: they are read before. */
__attribute__((constructor)) static void read_settings(void) {
    wanted = (int)refwasm_setting("OMP_NUM_THREADS", THREADS);
    read_schedule();
}

double omp_get_wtime(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
double omp_get_wtick(void) { return 1e-9; }

void omp_set_default_device(int device) {}
int omp_get_default_device(void) { return 0; }
int omp_get_num_devices(void) { return 0; }
int omp_get_device_num(void) { return 0; }
int omp_get_initial_device(void) { return 0; }
int omp_is_initial_device(void) { return 1; }
void *omp_target_alloc(size_t size, int device) { return malloc(size); }
void omp_target_free(void *memory, int device) { free(memory); }
int omp_target_is_present(const void *memory, int device) { return memory != NULL; }
int omp_target_memcpy(void *to, const void *from, size_t size, size_t to_offset, size_t from_offset, int to_device,
                      int from_device) {
    memmove((char *)to + to_offset, (const char *)from + from_offset, size);
    return 0;
}
int omp_target_associate_ptr(const void *host, const void *device, size_t size, size_t offset, int number) { return 1; }
int omp_target_disassociate_ptr(const void *host, int device) { return 1; }

/* Allocators are told apart by the alignment that they were made with only. */
struct made {
    size_t align;
};

static size_t alignment(omp_allocator_handle_t from) {
    return from > omp_thread_mem_alloc ? ((struct made *)from)->align : 16;
}
void *omp_aligned_alloc(size_t align, size_t size, omp_allocator_handle_t from) {
    if (align < alignment(from)) align = alignment(from);
    return aligned_alloc(align, (size + align - 1) & -align);
}
void *omp_alloc(size_t size, omp_allocator_handle_t from) { return omp_aligned_alloc(16, size, from); }
void *omp_calloc(size_t n, size_t size, omp_allocator_handle_t from) {
    void *memory = omp_alloc(n * size, from);
    return memory ? memset(memory, 0, n * size) : NULL;
}
void omp_free(void *memory, omp_allocator_handle_t from) { free(memory); }
omp_allocator_handle_t omp_init_allocator(omp_memspace_handle_t space, int n, const omp_alloctrait_t traits[]) {
    struct made *made = malloc(sizeof *made);
    if (!made) return omp_null_allocator;
    made->align = 16;
    for (int i = 0; i < n; i++)
        if (traits[i].key == omp_atk_alignment && traits[i].value > made->align) made->align = traits[i].value;
    return (omp_allocator_handle_t)made;
}
void omp_destroy_allocator(omp_allocator_handle_t from) {
    if (from > omp_thread_mem_alloc) free((void *)from);
}
void *omp_realloc(void *memory, size_t size, omp_allocator_handle_t to, omp_allocator_handle_t from) {
    return realloc(memory, size);
}
int omp_pause_resource(omp_pause_resource_t kind, int device) { return 0; }
int omp_pause_resource_all(omp_pause_resource_t kind) { return 0; }
void omp_display_env(int verbose) {}
void omp_set_affinity_format(const char *format) {}
size_t omp_get_affinity_format(char *buffer, size_t size) {
    if (size) *buffer = 0;
    return 0;
}
void omp_display_affinity(const char *format) {}
size_t omp_capture_affinity(char *buffer, size_t size, const char *format) { return omp_get_affinity_format(buffer, size); }
void omp_set_default_allocator(omp_allocator_handle_t chosen) { allocator = chosen; }
omp_allocator_handle_t omp_get_default_allocator(void) { return allocator; }
void *__kmpc_alloc(int32_t thread, size_t size, omp_allocator_handle_t from) { return omp_alloc(size, from); }
void *__kmpc_aligned_alloc(int32_t thread, size_t align, size_t size, omp_allocator_handle_t from) {
    return omp_aligned_alloc(align, size, from);
}
void __kmpc_free(int32_t thread, void *memory, omp_allocator_handle_t from) { free(memory); }
