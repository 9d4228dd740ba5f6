/* The C library's functions that have others in their place inside kernels. The linker may give them any name, so the
 * post-link step finds them by what these functions call: __refwasm_original_X calls X, and nothing else. */
#include "region.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

const char refwasm_originals_part = 0;

#define ORIGINAL(name, type, parameters, call) \
    EXPORT(__refwasm_original_##name) type __refwasm_original_##name parameters { call; }

ORIGINAL(malloc, void *, (size_t n), return malloc(n))
ORIGINAL(calloc, void *, (size_t n, size_t m), return calloc(n, m))
ORIGINAL(realloc, void *, (void *p, size_t n), return realloc(p, n))
ORIGINAL(free, void, (void *p), free(p))
ORIGINAL(aligned_alloc, void *, (size_t a, size_t n), return aligned_alloc(a, n))
ORIGINAL(posix_memalign, int, (void **p, size_t a, size_t n), return posix_memalign(p, a, n))

ORIGINAL(printf, int, (const char *f), return printf(f))
ORIGINAL(fprintf, int, (FILE *s, const char *f), return fprintf(s, f))
ORIGINAL(vprintf, int, (const char *f, va_list a), return vprintf(f, a))
ORIGINAL(vfprintf, int, (FILE *s, const char *f, va_list a), return vfprintf(s, f, a))
ORIGINAL(fwrite, size_t, (const void *p, size_t n, size_t m, FILE *s), return fwrite(p, n, m, s))
ORIGINAL(fputs, int, (const char *t, FILE *s), return fputs(t, s))
ORIGINAL(puts, int, (const char *t), return puts(t))
ORIGINAL(fputc, int, (int c, FILE *s), return fputc(c, s))
ORIGINAL(putc, int, (int c, FILE *s), return (putc)(c, s))
ORIGINAL(putchar, int, (int c), return (putchar)(c))
ORIGINAL(fflush, int, (FILE *s), return fflush(s))
ORIGINAL(perror, void, (const char *t), perror(t))

ORIGINAL(exit, _Noreturn void, (int c), exit(c))
ORIGINAL(_Exit, _Noreturn void, (int c), _Exit(c))
ORIGINAL(abort, _Noreturn void, (void), abort())

uint16_t __wasi_clock_time_get(uint32_t, uint64_t, uint64_t *);
uint16_t __wasi_sched_yield(void);
void __wasilibc_ensure_environ(void);
ORIGINAL(__wasi_clock_time_get, uint16_t, (uint32_t c, uint64_t p, uint64_t *t), return __wasi_clock_time_get(c, p, t))
ORIGINAL(__wasi_sched_yield, uint16_t, (void), return __wasi_sched_yield())
ORIGINAL(__wasilibc_ensure_environ, void, (void), __wasilibc_ensure_environ())
ORIGINAL(clock_nanosleep, int, (clockid_t c, int f, const struct timespec *t, struct timespec *l),
         return clock_nanosleep(c, f, t, l))
