// A slot is published before it is filled.
#define THREADS 2
#include "threads.h"

static volatile int slot;
static _Atomic int published;
static volatile int got = -1;

void thread(int which) {
  if (which == 0) {
    atomic_store(&published, 1);
    slot = 7;
  } else if (atomic_load(&published)) {
    got = slot;
  }
}

int check(void) { return got != -1 && got != 7; }
