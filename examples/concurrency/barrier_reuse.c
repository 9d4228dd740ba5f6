// A barrier that is used twice. The last thread resets it before the other one has left: that one waits for ever.
#define THREADS 2
#include "threads.h"

static _Atomic int arrived;

static void barrier(void) {
  if (atomic_fetch_add(&arrived, 1) + 1 == THREADS) {
    atomic_store(&arrived, 0);
    wake(&arrived, THREADS);
    return;
  }
  for (int n; (n = atomic_load(&arrived)) != 0;) wait_while(&arrived, n);
}

void thread(int which) {
  barrier();
  barrier();
}

int check(void) { return 0; }
