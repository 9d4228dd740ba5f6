/* What the files of the OpenMP run-time library share. A parallel region is a team of the run-time library's
 * (region.h); parallel regions inside one have one thread. The entry points that clang calls are named __kmpc_*; their
 * first parameters, the place in the source and a thread number, are not looked at. */
#ifndef REFWASM_OPENMP_H
#define REFWASM_OPENMP_H

#include "region.h"

typedef struct ident ident;
typedef int32_t (*task_entry)(int32_t thread, void *task);

/* A chunk of an ordered loop that a thread is through with. */
struct finished {
    struct finished *next;
    uint64_t begin, end;
};

/* A worksharing construct of the team: the threads meet the same ones in the same order, but not at the same time. */
struct construct {
    struct construct *next;
    uint64_t taken; /* of a loop: iterations given away; of single: whether somebody runs it */
    uint64_t turn;  /* of an ordered loop: the first iteration whose ordered region has not run */
    struct finished *finished; /* of an ordered loop: chunks that the turn has not come to */
    void *data;                /* of doacross */
};

/* A loop that deals out its iterations as threads ask for them. Iterations count from 0. */
struct loop {
    struct loop *outer;
    struct construct *construct;
    uint64_t first, count, chunk, next; /* next: of a static schedule */
    uint64_t begin, end;                /* the chunk that the thread runs */
    int64_t step;
    int kind, ordered;
};

/* What OpenMP keeps for a thread of the present team. */
struct thread {
    uint32_t region;             /* which region this is about */
    uint32_t serial;             /* parallel regions inside the region that have one thread */
    struct construct *construct; /* the last that it met */
    struct loop *loop;
    uint32_t flushes, phase; /* flushes in a row, in which phase */
};

/* The team. There is one at a time. */
struct team {
    uint32_t region, size;
    struct lock lock;
    struct construct first; /* stands before the constructs */
};
extern struct team refwasm_team;

struct thread *refwasm_thread(void);
/* The thread's number, and how many there are in its innermost team. */
int32_t refwasm_number(void);
int32_t refwasm_size(void);
/* The next construct, which is made if this thread is the first to meet it. */
struct construct *refwasm_next_construct(void);
/* Wait for the other threads of the team. */
void refwasm_barrier(void);
/* What schedule(runtime) means: a kind of kmp's, and the chunk. */
void refwasm_schedule(int *kind, int64_t *chunk);

#endif
