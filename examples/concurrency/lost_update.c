// Two threads add to a counter without a lock: one addition may be lost.
#define THREADS 2
#include "threads.h"

static volatile int counter;

void thread(int which) { counter = counter + 1; }

int check(void) { return counter != 2; }
