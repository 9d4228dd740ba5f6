/* Printing, clocks and exit in kernels, which can't call the host. Texts are kept, and shown after the region in the order
 * of its iterations; clocks show when the region began, and a little more at every look; exit() ends the region, and then the program. */
#include "region.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- printing ---- */

static int is_kept(FILE *file) { return file == stdout || file == stderr; }

static void keep(FILE *file, const char *bytes, size_t size) {
    struct self *self = &refwasm_self;
    struct text *text = malloc(sizeof *text + size);
    if (!text || !self->worker) __builtin_trap();
    *text = (struct text){self->worker->printed, self->iteration, self->phase, file == stderr ? 2 : 1, (uint32_t)size};
    memcpy(text->bytes, bytes, size);
    self->worker->printed = text;
}

IN_KERNELS(vfprintf) int __refwasm_kernel_vfprintf(FILE *file, const char *format, va_list arguments) {
    if (!is_kept(file)) return vfprintf(file, format, arguments);
    char *bytes;
    int size = vasprintf(&bytes, format, arguments);
    if (size < 0) return size;
    keep(file, bytes, (size_t)size);
    free(bytes);
    return size;
}

#define FORMATTED(file)                                          \
    va_list arguments;                                           \
    va_start(arguments, format);                                 \
    int size = __refwasm_kernel_vfprintf(file, format, arguments); \
    va_end(arguments);                                           \
    return size

IN_KERNELS(printf) int __refwasm_kernel_printf(const char *format, ...) { FORMATTED(stdout); }
IN_KERNELS(fprintf) int __refwasm_kernel_fprintf(FILE *file, const char *format, ...) { FORMATTED(file); }
IN_KERNELS(vprintf) int __refwasm_kernel_vprintf(const char *format, va_list arguments) {
    return __refwasm_kernel_vfprintf(stdout, format, arguments);
}

IN_KERNELS(fwrite) size_t __refwasm_kernel_fwrite(const void *bytes, size_t size, size_t n, FILE *file) {
    if (!is_kept(file)) return fwrite(bytes, size, n, file);
    keep(file, bytes, size * n);
    return n;
}

IN_KERNELS(fputs) int __refwasm_kernel_fputs(const char *text, FILE *file) {
    __refwasm_kernel_fwrite(text, 1, strlen(text), file);
    return 0;
}

IN_KERNELS(puts) int __refwasm_kernel_puts(const char *text) { return __refwasm_kernel_printf("%s\n", text); }

static int character(int c, FILE *file) {
    unsigned char byte = (unsigned char)c;
    keep(file, (const char *)&byte, 1);
    return byte;
}

IN_KERNELS(fputc) int __refwasm_kernel_fputc(int c, FILE *file) {
    return is_kept(file) ? character(c, file) : fputc(c, file);
}
IN_KERNELS(putc) int __refwasm_kernel_putc(int c, FILE *file) { return __refwasm_kernel_fputc(c, file); }
IN_KERNELS(putchar) int __refwasm_kernel_putchar(int c) { return character(c, stdout); }
IN_KERNELS(fflush) int __refwasm_kernel_fflush(FILE *file) { return !file || is_kept(file) ? 0 : fflush(file); }

IN_KERNELS(perror) void __refwasm_kernel_perror(const char *text) {
    const char *why = strerror(errno);
    if (text && *text) __refwasm_kernel_fprintf(stderr, "%s: %s\n", text, why);
    else __refwasm_kernel_fprintf(stderr, "%s\n", why);
}

static int before(const struct text *a, const struct text *b) {
    return a->iteration != b->iteration ? a->iteration < b->iteration : a->phase < b->phase;
}

/* Merge two lists that are in order. */
static struct text *merged(struct text *a, struct text *b) {
    struct text *first = NULL, **end = &first;
    while (a && b) {
        struct text **least = before(b, a) ? &b : &a;
        *end = *least;
        *least = (*least)->next;
        end = &(*end)->next;
    }
    *end = a ? a : b;
    return first;
}

static struct text *reversed(struct text *list) {
    struct text *result = NULL;
    while (list) {
        struct text *next = list->next;
        list->next = result;
        result = list;
        list = next;
    }
    return result;
}

void refwasm_show_printed(struct region *region) {
    struct text *all = NULL;
    for (uint32_t i = region->workers; i-- > 0;) {
        all = merged(reversed(region->worker[i].printed), all);
        region->worker[i].printed = NULL;
    }
    while (all) {
        struct text *next = all->next;
        fwrite(all->bytes, 1, all->size, all->stream == 2 ? stderr : stdout);
        free(all);
        all = next;
    }
}

/* ---- the end of the program ---- */

static uint32_t asked; /* 1 more than the exit code */

IN_KERNELS(exit) _Noreturn void __refwasm_kernel_exit(int code) {
    __atomic_store_n(&asked, (uint32_t)(code & 0xFF) + 1, __ATOMIC_SEQ_CST);
    __builtin_trap();
}
IN_KERNELS(_Exit) _Noreturn void __refwasm_kernel__Exit(int code) { __refwasm_kernel_exit(code); }
IN_KERNELS(abort) _Noreturn void __refwasm_kernel_abort(void) { __builtin_trap(); }

void refwasm_exit_if_asked(void) {
    if (asked) exit((int)asked - 1);
}

/* ---- clocks ---- */

IN_KERNELS(__wasi_clock_time_get)
uint16_t __refwasm_kernel___wasi_clock_time_get(uint32_t clock, uint64_t precision, uint64_t *time) {
    struct self *self = &refwasm_self;
    uint64_t begin = self->region ? (uint64_t)self->region->began_high << 32 | self->region->began_low : 0;
    *time = begin + (self->passed += 1000);
    return 0;
}

/* Who sleeps waits for others: they get a chance to run. */
IN_KERNELS(clock_nanosleep)
int __refwasm_kernel_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left) {
    if (!flags) refwasm_self.passed += (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
    __refwasm_suspend();
    return 0;
}

/* The environment was read before (region.c). */
IN_KERNELS(__wasilibc_ensure_environ) void __refwasm_kernel___wasilibc_ensure_environ(void) {}

IN_KERNELS(__wasi_sched_yield) uint16_t __refwasm_kernel___wasi_sched_yield(void) { return 0; }
