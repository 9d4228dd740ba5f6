// Looking and taking are atomic each, but not together: both may take.
#define THREADS 2
#include "threads.h"

static _Atomic int balance = 100;

void thread(int which) {
  if (atomic_load(&balance) >= 70) atomic_fetch_sub(&balance, 70);
}

int check(void) { return atomic_load(&balance) < 0; }
