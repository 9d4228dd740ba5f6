// A thread looks at a flag and then sleeps on another word: a wake-up in between is lost.
#define THREADS 2
#include "threads.h"

static _Atomic int flag, bell;

void thread(int which) {
  if (which == 0) {
    if (!atomic_load(&flag)) wait_while(&bell, 0);
  } else {
    atomic_store(&flag, 1);
    wake(&bell, 1);
  }
}

int check(void) { return 0; }
