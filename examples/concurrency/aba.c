// A stack whose pop compares heads only: a head that was popped and pushed again looks unchanged (ABA).
#define THREADS 2
#include "threads.h"

// Nodes 1 and 2; next[n] is the one below, 0 none. The stack is 1 on 2.
static _Atomic int head = 1;
static _Atomic int next[3] = {0, 2, 0};
static volatile int taken[3];

static int pop(void) {
  for (;;) {
    int top = atomic_load(&head);
    if (!top) return 0;
    int below = atomic_load(&next[top]);
    if (atomic_compare_exchange_strong(&head, &top, below)) return top;
  }
}

static void push(int node) {
  int top = atomic_load(&head);
  do atomic_store(&next[node], top);
  while (!atomic_compare_exchange_strong(&head, &top, node));
}

void thread(int which) {
  if (which == 0) {
    pop();  // keeps the node
  } else {
    int a = pop(), b = pop();
    if (b) taken[b] = 1;  // keeps the second one
    if (a) push(a);
  }
}

// A node that somebody keeps must not be on the stack.
int check(void) { return atomic_load(&head) && taken[atomic_load(&head)]; }
