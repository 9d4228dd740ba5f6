// A consumer looks once and not again when it is woken: another one may have taken what there was.
#define THREADS 3
#include "threads.h"

static Lock mutex;
static _Atomic int items;
static volatile int low;

static void consume(void) {
  if (atomic_load(&items) == 0) wait_while(&items, 0);  // must be a loop, with the lock
  lock(&mutex);
  int left = atomic_load(&items) - 1;
  if (left < 0) low = 1;
  atomic_store(&items, left);
  unlock(&mutex);
}

void thread(int which) {
  if (which == 2) {
    lock(&mutex);
    atomic_store(&items, 1);
    unlock(&mutex);
    wake(&items, 2);
  } else {
    consume();
  }
}

int check(void) { return low; }
