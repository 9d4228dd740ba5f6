// Double-checked initialisation that says it is done before it is.
#define THREADS 2
#include "threads.h"

static volatile int ready, value;
static volatile int used[2];
static Lock mutex;

void thread(int which) {
  if (!ready) {
    lock(&mutex);
    if (!ready) {
      ready = 1;
      value = 42;
    }
    unlock(&mutex);
  }
  used[which] = value;
}

int check(void) { return used[0] != 42 || used[1] != 42; }
