/* Destructors of thread-local objects in C++: those of the program's own thread run when it ends; workers never end. */
#include "region.h"

int __cxa_atexit(void (*destroy)(void *), void *object, void *library);

int __cxa_thread_atexit(void (*destroy)(void *), void *object, void *library) {
    return refwasm_self.region ? 0 : __cxa_atexit(destroy, object, library);
}
