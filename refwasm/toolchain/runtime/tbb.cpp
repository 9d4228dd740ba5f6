// What oneTBB's headers need of its library (namespace tbb::detail::r1): a scheduler of tasks on wasi-parallel, and small
// things. The program waits for a task: then an execution begins, whose iterations are the scheduler's threads. Each has
// a queue of its own, takes the newest task of it, or the oldest of another's. Inside kernels whoever waits runs tasks
// meanwhile.
//
// The classes here have the names and layouts of oneTBB's headers (2021 and later), which are not included: a user's
// headers may be of any of these versions.
#include "region.h"
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace tbb::detail {

namespace d0 {
enum exception_id { bad_alloc = 1 };
}

namespace d1 {
using slot_id = unsigned short;

class task_group_context {
public:
    uint64_t environment;
    std::atomic<uint32_t> cancelled;
    uint8_t version, traits, has_children, state;
    task_group_context *parent;
};

struct execution_data {
    task_group_context *context;
    slot_id original_slot, affinity_slot;
};

class alignas(64) task {
    uint64_t traits;

public:
    virtual ~task() = default;
    virtual task *execute(execution_data &) = 0;
    virtual task *cancel(execution_data &) = 0;
};

class wait_context {
    uint64_t traits;
    std::atomic<uint64_t> references;

public:
    bool is_done() const { return references.load() == 0; }
};

class delegate_base {
public:
    virtual bool operator()() const = 0;
    virtual ~delegate_base() {}
};

class small_object_pool;
class task_scheduler_observer;

class global_control {
public:
    size_t value;
    intptr_t reserved;
    int parameter;
};

class task_arena_base {
public:
    intptr_t traits;
    std::atomic<int> initialised;
    std::atomic<void *> arena;
    int max_concurrency;
};
} // namespace d1

namespace r1 {
using namespace d1;

namespace {

struct entry {
    task *t;
    task_group_context *context;
};

// The tasks that a thread has put aside; it takes from the end, others from the begin.
struct queue {
    struct lock guard;
    entry *entries;
    uint32_t first, last, room;

    void push(entry e) {
        refwasm_lock(&guard);
        if (last == room) {
            room = room ? 2 * room : 64;
            entries = static_cast<entry *>(realloc(entries, room * sizeof(entry)));
            if (!entries) __builtin_trap();
        }
        entries[last++] = e;
        refwasm_unlock(&guard);
    }

    bool take(entry &e, bool newest) {
        if (__atomic_load_n(&first, __ATOMIC_RELAXED) == __atomic_load_n(&last, __ATOMIC_RELAXED)) return false;
        refwasm_lock(&guard);
        bool found = first != last;
        if (found) e = newest ? entries[--last] : entries[first++];
        if (first == last) first = last = 0;
        refwasm_unlock(&guard);
        return found;
    }
};

queue queues[MOST_THREADS];
uint32_t threads;              // of the present execution
int allowed, arena_limit;      // 0: no limit
thread_local task_group_context *current;

bool in_kernel() { return refwasm_self.region != nullptr; }
slot_id slot() { return in_kernel() ? static_cast<slot_id>(refwasm_self.iteration) : 0; }

// OMP_NUM_THREADS is what all models look at. It is read before kernels run, which can't.
uint32_t standard;
__attribute__((constructor)) void read_settings() { standard = refwasm_setting("OMP_NUM_THREADS", THREADS); }

uint32_t most_threads() {
    uint32_t n = standard;
    if (allowed && static_cast<uint32_t>(allowed) < n) n = static_cast<uint32_t>(allowed);
    if (arena_limit > 0 && static_cast<uint32_t>(arena_limit) < n) n = static_cast<uint32_t>(arena_limit);
    return n < 1 ? 1 : n > MOST_THREADS ? MOST_THREADS : n;
}

bool is_cancelled(task_group_context *context) {
    for (; context; context = context->parent)
        if (context->cancelled.load()) return true;
    return false;
}

// Run a task, and those that it returns to be run next.
void run(entry e) {
    task_group_context *outer = current;
    current = e.context;
    execution_data data{e.context, slot(), slot()};
    for (task *t = e.t; t;) t = is_cancelled(e.context) ? t->cancel(data) : t->execute(data);
    current = outer;
}

bool take(entry &e) {
    uint32_t own = slot();
    if (queues[own].take(e, true)) return true;
    for (uint32_t i = 1; i < threads; i++)
        if (queues[(own + i) % threads].take(e, false)) return true;
    return false;
}

// Run tasks until there is nothing to wait for. If there is no task, another thread is running one.
void run_until(const wait_context &wait) {
    entry e;
    while (!wait.is_done()) {
        if (take(e)) run(e);
        else __builtin_wasm_memory_atomic_wait32(const_cast<int *>(reinterpret_cast<const int *>(&threads)),
                                                 static_cast<int>(threads), 20000);
    }
}

struct execution {
    entry first;
    const wait_context *wait;
    std::atomic<uint32_t> begun;
};

void run_thread(void *context, uint32_t) {
    auto *e = static_cast<execution *>(context);
    if (e->first.t && e->begun.exchange(1) == 0) run(e->first);
    run_until(*e->wait);
}

void execute_until(entry first, const wait_context &wait) {
    if (in_kernel()) {
        if (first.t) run(first);
        run_until(wait);
        return;
    }
    execution e{first, &wait, {0}};
    threads = most_threads();
    __refwasm_parallel_for(run_thread, &e, threads, 1);
}

} // namespace

// ---- tasks

void spawn(task &t, task_group_context &context) { queues[slot()].push({&t, &context}); }
void spawn(task &t, task_group_context &context, slot_id) { spawn(t, context); }
void execute_and_wait(task &t, task_group_context &context, wait_context &wait, task_group_context &) {
    execute_until({&t, &context}, wait);
}
void wait(wait_context &wait, task_group_context &) {
    if (!wait.is_done()) execute_until({nullptr, nullptr}, wait);
}
slot_id execution_slot(const execution_data *) { return slot(); }
task_group_context *current_context() { return current; }
void notify_waiters(uintptr_t) {}

void initialize(task_group_context &context) {
    context.cancelled = 0;
    context.parent = (context.traits & 4) && current != &context ? current : nullptr; // bit 2: bound
    context.state = 0;
}
void destroy(task_group_context &) {}
void reset(task_group_context &context) { context.cancelled = 0; }
bool cancel_group_execution(task_group_context &context) { return context.cancelled.exchange(1) == 0; }
bool is_group_execution_cancelled(task_group_context &context) { return is_cancelled(&context); }
void capture_fp_settings(task_group_context &) {}

// ---- arenas: a limit to the number of threads

int max_concurrency(const task_arena_base *arena) {
    int limit = static_cast<int>(most_threads());
    return arena && arena->max_concurrency > 0 && arena->max_concurrency < limit ? arena->max_concurrency : limit;
}
void initialize(task_arena_base &arena) {
    if (arena.max_concurrency <= 0) arena.max_concurrency = static_cast<int>(most_threads());
    arena.arena = &queues;
}
void terminate(task_arena_base &arena) { arena.arena = nullptr; }
bool attach(task_arena_base &) { return false; }
void execute(task_arena_base &arena, delegate_base &call) {
    int outer = arena_limit;
    if (!in_kernel()) arena_limit = arena.max_concurrency;
    call();
    if (!in_kernel()) arena_limit = outer;
}
void wait(task_arena_base &) {}
void isolate_within_arena(delegate_base &call, intptr_t) { call(); }
void enqueue(task &t, task_group_context &context, task_arena_base *) { run({&t, &context}); }
void enqueue(task &t, task_arena_base *) { run({&t, nullptr}); }
void submit(task &t, task_group_context &context, class arena *, uintptr_t) { run({&t, &context}); }
void observe(task_scheduler_observer &, bool) {}

size_t global_control_active_value(int parameter) { return parameter == 0 ? most_threads() : parameter == 1 ? 4 << 20 : 0; }
void create(global_control &control) {
    control.reserved = allowed;
    if (control.parameter == 0 && (!allowed || control.value < static_cast<size_t>(allowed)))
        allowed = static_cast<int>(control.value);
}
void destroy(global_control &control) {
    if (control.parameter == 0) allowed = static_cast<int>(control.reserved);
}
unsigned numa_node_count() { return 1; }
void fill_numa_indices(int *indices) { *indices = -1; }
int numa_default_concurrency(int) { return static_cast<int>(most_threads()); }

// ---- memory

namespace {
void *aligned(size_t size) {
    void *memory = aligned_alloc(128, (size + 127) & ~static_cast<size_t>(127));
    if (!memory) __builtin_trap();
    return memory;
}
} // namespace

void *allocate(small_object_pool *&, size_t size, const execution_data &) { return aligned(size); }
void *allocate(small_object_pool *&, size_t size) { return aligned(size); }
void deallocate(small_object_pool &, void *memory, size_t, const execution_data &) { free(memory); }
void deallocate(small_object_pool &, void *memory, size_t) { free(memory); }
void *cache_aligned_allocate(size_t size) { return aligned(size); }
void cache_aligned_deallocate(void *memory) { free(memory); }
size_t cache_line_size() { return 128; }
void *allocate_memory(size_t size) { return malloc(size); }
void deallocate_memory(void *memory) { free(memory); }
bool is_tbbmalloc_used() { return false; }

// ---- waiting for an address to change

void wait_on_address(void *, delegate_base &is_woken, uintptr_t) {
    while (!is_woken()) {}
}
void notify_by_address(void *, uintptr_t) {}
void notify_by_address_one(void *) {}
void notify_by_address_all(void *) {}

// ---- errors and tools

void throw_exception(d0::exception_id id) {
    fprintf(stderr, "oneTBB: an exception (number %d of its exception_id) can't be thrown here\n", id);
    abort();
}
void assertion_failure(const char *where, int line, const char *what, const char *comment) {
    fprintf(stderr, "oneTBB: %s:%d: %s failed: %s\n", where, line, what, comment ? comment : "");
    abort();
}
void call_itt_notify(int, void *) {}
void create_itt_sync(void *, const char *, const char *) {}
void itt_set_sync_name(void *, const char *) {}

} // namespace r1
} // namespace tbb::detail

extern "C" {
const char *TBB_runtime_version() { return "2021.0 (refwasm)"; }
int TBB_runtime_interface_version() { return 12000; }
void *scalable_malloc(size_t size) { return malloc(size); }
void scalable_free(void *memory) { free(memory); }
void *scalable_realloc(void *memory, size_t size) { return realloc(memory, size); }
void *scalable_calloc(size_t n, size_t size) { return calloc(n, size); }
int scalable_posix_memalign(void **memory, size_t align, size_t size) { return posix_memalign(memory, align, size); }
void *scalable_aligned_malloc(size_t size, size_t align) { return aligned_alloc(align, (size + align - 1) & -align); }
void scalable_aligned_free(void *memory) { free(memory); }
}
