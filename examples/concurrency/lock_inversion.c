// Two threads take two locks in opposite orders.
#define THREADS 2
#include "threads.h"

static Lock left, right;
static volatile int meals;

void thread(int which) {
  lock(which ? &left : &right);
  lock(which ? &right : &left);
  meals = meals + 1;
  unlock(which ? &right : &left);
  unlock(which ? &left : &right);
}

int check(void) { return meals != 2; }
