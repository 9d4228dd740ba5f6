// A message with a plain flag: no interleaving shows anything wrong, but the flag orders nothing: a race.
#define THREADS 2
#include "threads.h"

static volatile int data, flag;
static volatile int seen = 42;

void thread(int which) {
  if (which == 0) {
    data = 42;
    flag = 1;
  } else if (flag) {
    seen = data;
  }
}

int check(void) { return seen != 42; }
