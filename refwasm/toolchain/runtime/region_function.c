/* What the post-link step puts the region's function in place of, in each kernel. These functions stand in a file of their own, so
 * that the compiler can't look into them. */
#include "region.h"

/* The function of a loop. */
EXPORT(__refwasm_call_loop) void __refwasm_call_loop(void *context, uint32_t i) { __builtin_trap(); }

/* Start or continue a coroutine that calls the region's function; whether it stopped again. */
EXPORT(__refwasm_call_team)
int __refwasm_call_team(struct coroutine *coroutine, uint32_t *number, const uint32_t *arguments) { __builtin_trap(); }
EXPORT(__refwasm_call_groups)
int __refwasm_call_groups(struct coroutine *coroutine, void *context, uint32_t group, uint32_t item) { __builtin_trap(); }

/* The function of a group's items where it never stops. */
EXPORT(__refwasm_call_item) void __refwasm_call_item(void *context, uint32_t group, uint32_t item) { __builtin_trap(); }

/* Outside kernels nobody else runs: there is nothing to wait for. */
EXPORT(__refwasm_suspend) void __refwasm_suspend(void) {}
