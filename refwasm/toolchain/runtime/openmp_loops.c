/* OpenMP's worksharing loops: how iterations are dealt out. */
#include "openmp.h"
#include <stdlib.h>

/* Schedules, as clang numbers them; ordered ones are 32 more, and bits 29 and 30 are modifiers. */
enum {
    STATIC_CHUNKED = 33, STATIC = 34, DYNAMIC = 35, GUIDED = 36, RUNTIME = 37, AUTO = 38, STATIC_BALANCED_CHUNKED = 45,
    GUIDED_SIMD = 46, RUNTIME_SIMD = 47, DISTRIBUTE_CHUNKED = 91, DISTRIBUTE = 92
};
#define KIND(schedule) ((schedule) & ~(3 << 29))

/* Static schedules: the bounds of a thread's first chunk, and how far the next one is away. */
#define STATIC_INIT(name, T, S)                                                                                     \
    void name(ident *where, int32_t thread, int32_t schedule, int32_t *last, T *lower, T *upper, S *stride, S step, \
              S chunk) {                                                                                            \
        uint32_t number = (uint32_t)refwasm_number(), size = (uint32_t)refwasm_size();                              \
        int kind = KIND(schedule);                                                                                  \
        if (kind == DISTRIBUTE || kind == DISTRIBUTE_CHUNKED) number = 0, size = 1; /* one team */                  \
        if (step > 0 ? *upper < *lower : *lower < *upper) {                                                         \
            if (last) *last = 0;                                                                                    \
            *stride = step;                                                                                         \
            return;                                                                                                 \
        }                                                                                                           \
        uint64_t distance = step > 0 ? (uint64_t)*upper - (uint64_t)*lower : (uint64_t)*lower - (uint64_t)*upper;   \
        uint64_t by = step > 0 ? (uint64_t)step : -(uint64_t)step;                                                  \
        uint64_t count = (sizeof(T) == 4 ? (uint32_t)distance : distance) / by; /* less 1: it may be all of T */    \
        uint64_t first, end;                                                                                        \
        if (kind == STATIC_CHUNKED || kind == DISTRIBUTE_CHUNKED || kind == STATIC_BALANCED_CHUNKED) {              \
            uint64_t each = chunk > 0 ? (uint64_t)chunk : 1;                                                        \
            first = each * number, end = first + each - 1;                                                          \
            *stride = (S)(each * size * (uint64_t)step);                                                            \
            if (last) *last = number == count / each % size;                                                        \
        } else {                                                                                                    \
            uint64_t small = count / size, more = count % size + 1; /* of count + 1 iterations */                   \
            if (more == size) small++, more = 0;                                                                    \
            first = number * small + (number < more ? number : more);                                               \
            end = first + small + (number < more) - 1;                                                              \
            *stride = (S)((count + 1) * (uint64_t)step);                                                            \
            if (last) *last = end == count && end + 1 != first;                                                     \
            if (end + 1 == first) { /* none: an empty range, wherever it does not overflow */                       \
                *lower = (T)((uint64_t)*upper + (uint64_t)step), *upper = (T)((uint64_t)*lower - (uint64_t)step);   \
                if (step > 0 ? *upper >= *lower : *upper <= *lower) *lower = 1, *upper = 0;                         \
                return;                                                                                             \
            }                                                                                                       \
        }                                                                                                           \
        *upper = (T)((uint64_t)*lower + end * (uint64_t)step);                                                      \
        *lower = (T)((uint64_t)*lower + first * (uint64_t)step);                                                    \
    }
STATIC_INIT(__kmpc_for_static_init_4, int32_t, int32_t)
STATIC_INIT(__kmpc_for_static_init_4u, uint32_t, int32_t)
STATIC_INIT(__kmpc_for_static_init_8, int64_t, int64_t)
STATIC_INIT(__kmpc_for_static_init_8u, uint64_t, int64_t)
void __kmpc_for_static_fini(ident *where, int32_t thread) {}

/* distribute parallel for: the one team has all iterations. */
#define DISTRIBUTE_INIT(name, plain, T, S)                                                                     \
    void name(ident *where, int32_t thread, int32_t schedule, int32_t *last, T *lower, T *upper, T *upper_all, \
              S *stride, S step, S chunk) {                                                                    \
        *upper_all = *upper;                                                                                   \
        plain(where, thread, schedule, last, lower, upper, stride, step, chunk);                               \
    }
DISTRIBUTE_INIT(__kmpc_dist_for_static_init_4, __kmpc_for_static_init_4, int32_t, int32_t)
DISTRIBUTE_INIT(__kmpc_dist_for_static_init_4u, __kmpc_for_static_init_4u, uint32_t, int32_t)
DISTRIBUTE_INIT(__kmpc_dist_for_static_init_8, __kmpc_for_static_init_8, int64_t, int64_t)
DISTRIBUTE_INIT(__kmpc_dist_for_static_init_8u, __kmpc_for_static_init_8u, uint64_t, int64_t)
void __kmpc_distribute_static_fini(ident *where, int32_t thread) {}

/* ---- schedules that deal out as threads ask ---- */

static void begin_loop(int32_t schedule, uint64_t first, uint64_t distance, int empty, int64_t step, int64_t chunk) {
    struct loop *loop = malloc(sizeof *loop);
    struct thread *thread = refwasm_thread();
    int kind = KIND(schedule);
    int ordered = kind >= 65 && kind <= 70;
    if (ordered) kind -= 32;
    if (kind == RUNTIME || kind == RUNTIME_SIMD) refwasm_schedule(&kind, &chunk);
    uint64_t by = step > 0 ? (uint64_t)step : -(uint64_t)step;
    *loop = (struct loop){
        .outer = thread->loop, .construct = refwasm_next_construct(), .first = first, .step = step,
        .count = empty ? 0 : distance / by + 1, .chunk = chunk > 0 ? (uint64_t)chunk : 1, .kind = kind, .ordered = ordered,
    };
    uint64_t size = (uint64_t)refwasm_size(), number = (uint64_t)refwasm_number();
    if (kind == STATIC || kind == AUTO) loop->chunk = loop->count / size + (loop->count % size != 0), loop->kind = STATIC_CHUNKED;
    if (!loop->chunk) loop->chunk = 1;
    loop->next = number * loop->chunk;
    thread->loop = loop;
}

/* The next chunk of a loop in begin and end; whether there is one. */
static int take_chunk(struct loop *loop) {
    uint64_t size = (uint64_t)refwasm_size(), begin, chunk = loop->chunk;
    if (loop->kind == STATIC_CHUNKED || loop->kind == STATIC_BALANCED_CHUNKED) {
        begin = loop->next;
        loop->next += chunk * size;
    } else {
        begin = __atomic_load_n(&loop->construct->taken, __ATOMIC_SEQ_CST);
        do {
            if (begin >= loop->count) return 0;
            if (loop->kind == GUIDED || loop->kind == GUIDED_SIMD) {
                uint64_t share = (loop->count - begin) / (2 * size);
                chunk = share > loop->chunk ? share : loop->chunk;
            }
        } while (!__atomic_compare_exchange_n(&loop->construct->taken, &begin, begin + chunk, 0, __ATOMIC_SEQ_CST,
                                              __ATOMIC_SEQ_CST));
    }
    if (begin >= loop->count) return 0;
    loop->begin = begin;
    loop->end = loop->count - begin < chunk ? loop->count : begin + chunk;
    return 1;
}

/* The turn goes on by all chunks that are finished. */
static int is_turn_of(struct loop *loop) {
    struct construct *c = loop->construct;
    refwasm_lock(&refwasm_team.lock);
    for (struct finished **f = &c->finished; *f;) {
        if ((*f)->begin != c->turn) {
            f = &(*f)->next;
            continue;
        }
        struct finished *done = *f;
        c->turn = done->end;
        *f = done->next;
        free(done);
        f = &c->finished;
    }
    int is = c->turn == loop->begin;
    refwasm_unlock(&refwasm_team.lock);
    return is;
}

/* Nobody waits here, so that loops without ordered regions never do. */
static void finish_chunk(struct loop *loop) {
    struct finished *done = malloc(sizeof *done);
    if (!done) __builtin_trap();
    *done = (struct finished){NULL, loop->begin, loop->end};
    refwasm_lock(&refwasm_team.lock);
    done->next = loop->construct->finished;
    loop->construct->finished = done;
    refwasm_unlock(&refwasm_team.lock);
}

static int next_chunk(struct loop *loop) {
    if (loop->ordered && loop->end > loop->begin) finish_chunk(loop);
    if (take_chunk(loop)) return 1;
    refwasm_thread()->loop = loop->outer;
    free(loop);
    return 0;
}

#define DISPATCH(suffix, T, S)                                                                                        \
    void __kmpc_dispatch_init_##suffix(ident *where, int32_t thread, int32_t schedule, T lower, T upper, S step,      \
                                       S chunk) {                                                                     \
        int empty = step > 0 ? upper < lower : lower < upper;                                                         \
        uint64_t distance = step > 0 ? (uint64_t)upper - (uint64_t)lower : (uint64_t)lower - (uint64_t)upper;         \
        begin_loop(schedule, (uint64_t)lower, sizeof(T) == 4 ? (uint32_t)distance : distance, empty, step, chunk);    \
    }                                                                                                                 \
    void __kmpc_dist_dispatch_init_##suffix(ident *where, int32_t thread, int32_t schedule, int32_t *last, T lower,   \
                                            T upper, S step, S chunk) {                                               \
        __kmpc_dispatch_init_##suffix(where, thread, schedule, lower, upper, step, chunk);                            \
    }                                                                                                                 \
    int32_t __kmpc_dispatch_next_##suffix(ident *where, int32_t thread, int32_t *last, T *lower, T *upper, S *step) { \
        struct loop *loop = refwasm_thread()->loop;                                                                   \
        if (!next_chunk(loop)) return 0;                                                                              \
        *lower = (T)(loop->first + loop->begin * (uint64_t)loop->step);                                               \
        *upper = (T)(loop->first + (loop->end - 1) * (uint64_t)loop->step);                                           \
        if (step) *step = (S)loop->step;                                                                              \
        if (last) *last = loop->end == loop->count;                                                                   \
        return 1;                                                                                                     \
    }                                                                                                                 \
    void __kmpc_dispatch_fini_##suffix(ident *where, int32_t thread) {}
DISPATCH(4, int32_t, int32_t)
DISPATCH(4u, uint32_t, int32_t)
DISPATCH(8, int64_t, int64_t)
DISPATCH(8u, uint64_t, int64_t)
void __kmpc_dispatch_deinit(ident *where, int32_t thread) {}

void __kmpc_ordered(ident *where, int32_t thread) {
    struct loop *loop = refwasm_thread()->loop;
    while (loop && !is_turn_of(loop)) refwasm_barrier();
}
void __kmpc_end_ordered(ident *where, int32_t thread) {}

/* ---- doacross: ordered(n) with depend(source) and depend(sink) ---- */

struct dimension {
    int64_t lower, upper, step;
};
struct doacross {
    int32_t dimensions;
    struct dimension of[8];
    uint32_t *posted; /* a bit for each iteration */
};
static _Thread_local struct doacross *across;

static uint64_t extent(const struct dimension *d) {
    int64_t span = d->step > 0 ? d->upper - d->lower : d->lower - d->upper;
    return span < 0 ? 0 : (uint64_t)span / (uint64_t)(d->step > 0 ? d->step : -d->step) + 1;
}

void __kmpc_doacross_init(ident *where, int32_t thread, int32_t dimensions, const struct dimension *of) {
    if (dimensions > 8) __builtin_trap();
    struct construct *c = refwasm_next_construct();
    refwasm_lock(&refwasm_team.lock);
    if (!c->data) {
        uint64_t count = 1;
        for (int32_t i = 0; i < dimensions; i++) count *= extent(&of[i]);
        struct doacross *made = calloc(1, sizeof *made + (size_t)(count / 8 + 8));
        if (!made) __builtin_trap();
        made->dimensions = dimensions;
        for (int32_t i = 0; i < dimensions; i++) made->of[i] = of[i];
        made->posted = (uint32_t *)(made + 1);
        c->data = made;
    }
    across = c->data;
    refwasm_unlock(&refwasm_team.lock);
}

/* The number of an iteration; -1 if there is none. */
static int64_t numbered(const int64_t *vector) {
    uint64_t number = 0;
    for (int32_t i = 0; i < across->dimensions; i++) {
        const struct dimension *d = &across->of[i];
        int64_t away = (vector[i] - d->lower) / d->step;
        if (away < 0 || (uint64_t)away >= extent(d)) return -1;
        number = number * extent(d) + (uint64_t)away;
    }
    return (int64_t)number;
}

void __kmpc_doacross_post(ident *where, int32_t thread, const int64_t *vector) {
    int64_t number = numbered(vector);
    if (number >= 0) __atomic_fetch_or(&across->posted[number / 32], 1u << number % 32, __ATOMIC_SEQ_CST);
}
void __kmpc_doacross_wait(ident *where, int32_t thread, const int64_t *vector) {
    int64_t number = numbered(vector);
    if (number < 0) return;
    while (!(__atomic_load_n(&across->posted[number / 32], __ATOMIC_SEQ_CST) >> number % 32 & 1)) refwasm_barrier();
}
void __kmpc_doacross_fini(ident *where, int32_t thread) {}
