/* Mutexes of C++ (include/cxx/mutex). A mutex is a struct lock. */
#include "region.h"

void __refwasm_mutex_lock(struct lock *lock) { refwasm_lock(lock); }
int __refwasm_mutex_try_lock(struct lock *lock, int again) {
    int depth = refwasm_try_lock(lock);
    if (depth > 1 && !again) refwasm_unlock(lock);
    return depth == 1 || (depth && again);
}
void __refwasm_mutex_unlock(struct lock *lock) { refwasm_unlock(lock); }
uint32_t __refwasm_worker(void) { return refwasm_self.id; }
