// Command groups, queues, and text from kernels.
#pragma once
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

extern "C" {
void __refwasm_parallel_for(void (*)(void *, uint32_t), void *, uint32_t, uint32_t);
void __refwasm_parallel_groups(void (*)(void *, uint32_t, uint32_t), void *, uint32_t, uint32_t, uint32_t);
}

namespace sycl {

class queue;
class kernel_handler {};

// Kernels are compiled with the program: there is nothing left to build.
class kernel {};
class program {
public:
    explicit program(const context &) {}
    template <class Name> void build_with_kernel_type(const std::string & = {}) {}
    template <class Name> kernel get_kernel() const { return {}; }
};

namespace detail {

inline uint64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<uint64_t>(t.tv_sec) * 1000000000 + static_cast<uint64_t>(t.tv_nsec);
}

inline uint32_t counted(size_t n) { return static_cast<uint32_t>(n); }

template <class F, class... A> void call(const F &f, A &...a) {
    if constexpr (std::is_invocable_v<const F &, A &..., kernel_handler>) f(a..., kernel_handler());
    else f(a...);
}

// A loop over a range.
template <int D, class F> struct loop {
    const F &f;
    range<D> all;
    id<D> first;
    static void run(void *self, uint32_t i) {
        auto *l = static_cast<const loop *>(self);
        item<D> it(place<D>(i, l->all) + l->first, l->all, l->first);
        call(l->f, it);
    }
};

// Work-groups of an nd_range.
template <int D, class F> struct groups {
    const F &f;
    nd_range<D> all;
    static void run(void *self, uint32_t group, uint32_t i) {
        auto *g = static_cast<const groups *>(self);
        nd_item<D> it(place<D>(group, g->all.get_group_range()), i, g->all);
        call(g->f, it);
    }
};

// The same with reductions: a chunk of iterations, or a group, has partial results of its own.
constexpr size_t most_chunks = 64;
template <int D, class F, class... R> struct reducing {
    const F &f;
    range<D> all;
    size_t chunks;
    std::tuple<std::vector<typename R::partial_type>...> parts;

    static void run(void *self, uint32_t chunk) {
        auto *r = static_cast<reducing *>(self);
        size_t n = r->all.size();
        size_t first = n / r->chunks * chunk + (chunk < n % r->chunks ? chunk : n % r->chunks);
        size_t last = first + n / r->chunks + (chunk < n % r->chunks);
        std::apply([&](auto &...p) {
            auto reducers = std::make_tuple(reducer(p[chunk])...);
            for (size_t i = first; i < last; i++) {
                item<D> it(place<D>(i, r->all), r->all);
                std::apply([&](auto &...c) { r->f(it, c...); }, reducers);
            }
        }, r->parts);
    }
};
template <int D, class F, class... R> struct reducing_groups {
    const F &f;
    nd_range<D> all;
    std::tuple<std::vector<typename R::partial_type>...> parts;

    static void run(void *self, uint32_t group, uint32_t i) {
        auto *r = static_cast<reducing_groups *>(self);
        std::apply([&](auto &...p) {
            auto reducers = std::make_tuple(reducer(p[group])...);
            nd_item<D> it(place<D>(group, r->all.get_group_range()), i, r->all);
            std::apply([&](auto &...c) { r->f(it, c...); }, reducers);
        }, r->parts);
    }
};

template <int D, class F> struct hierarchical {
    const F &f;
    range<D> all, local;
    static void run(void *self, uint32_t g, uint32_t) {
        auto *h = static_cast<const hierarchical *>(self);
        group<D> it(place<D>(g, h->all), h->all, h->local, 0);
        call(h->f, it);
    }
};

template <int D> void check(const nd_range<D> &r) {
    for (int d = 0; d < D; d++)
        if (!r.get_local_range()[d] || r.get_global_range()[d] % r.get_local_range()[d])
            throw exception(make_error_code(errc::nd_range), "the global range is no multiple of the local range");
}

} // namespace detail

class handler {
    size_t local = 0; // bytes of local memory
    template <class, int> friend class local_accessor;
    friend class queue;

    size_t take_local(size_t bytes) {
        size_t at = local;
        local += (bytes + 15) & ~static_cast<size_t>(15);
        return at;
    }

    template <int D, class F> void loop_over(range<D> r, const F &f, id<D> first = {}) {
        detail::loop<D, F> l{f, r, first};
        __refwasm_parallel_for(detail::loop<D, F>::run, &l, detail::counted(r.size()), 1);
    }

    template <int D, class T, size_t... I> void reduce_over(range<D> r, T arguments, std::index_sequence<I...>) {
        constexpr size_t last = sizeof...(I);
        const auto &f = std::get<last>(arguments);
        size_t n = r.size(), chunks = n < detail::most_chunks ? n : detail::most_chunks;
        detail::reducing<D, std::decay_t<decltype(f)>, std::tuple_element_t<I, T>...> loop{
            f, r, chunks ? chunks : 1, {std::vector(chunks, std::get<I>(arguments).make())...}};
        __refwasm_parallel_for(decltype(loop)::run, &loop, detail::counted(chunks), 1);
        (std::get<I>(arguments).finish(std::get<I>(loop.parts), std::get<I>(arguments).identity), ...);
    }

    template <int D, class T, size_t... I> void reduce_over(nd_range<D> r, T arguments, std::index_sequence<I...>) {
        constexpr size_t last = sizeof...(I);
        const auto &f = std::get<last>(arguments);
        size_t n = r.get_group_range().size();
        detail::reducing_groups<D, std::decay_t<decltype(f)>, std::tuple_element_t<I, T>...> loop{
            f, r, {std::vector(n, std::get<I>(arguments).make())...}};
        __refwasm_parallel_groups(decltype(loop)::run, &loop, detail::counted(n),
                                  detail::counted(r.get_local_range().size()), detail::counted(local));
        (std::get<I>(arguments).finish(std::get<I>(loop.parts), std::get<I>(arguments).identity), ...);
    }

public:
    template <class F> void single_task(const kernel &, const F &f) { single_task(f); }
    template <class R, class F> void parallel_for(const kernel &, R r, const F &f) { parallel_for(r, f); }
    template <class Name, class R, class F> void parallel_for(const kernel &, R r, const F &f) { parallel_for(r, f); }
    template <class Name = void, class F> void single_task(const F &f) {
        loop_over(range<1>(1), [=](const item<1> &) { detail::call(f); });
    }
    template <class Name = void, int D, class F> void parallel_for(range<D> r, const F &f) { loop_over(r, f); }
    template <class Name = void, int D, class F> void parallel_for(range<D> r, id<D> offset, const F &f) {
        loop_over(r, f, offset);
    }
    template <class Name = void, class F> void parallel_for(size_t n, const F &f) { loop_over(range<1>(n), f); }
    template <class Name = void, int D, class F> void parallel_for(nd_range<D> r, const F &f) {
        detail::check(r);
        detail::groups<D, F> g{f, r};
        __refwasm_parallel_groups(detail::groups<D, F>::run, &g, detail::counted(r.get_group_range().size()),
                                  detail::counted(r.get_local_range().size()), detail::counted(local));
    }
    template <class Name = void, int D, class R, class F, class... More,
              class = std::enable_if_t<!std::is_same_v<R, id<D>>>>
    void parallel_for(range<D> r, R reduction, F f, More... more) {
        reduce_over(r, std::make_tuple(reduction, f, more...), std::make_index_sequence<1 + sizeof...(More)>());
    }
    template <class Name = void, int D, class R, class F, class... More>
    void parallel_for(nd_range<D> r, R reduction, F f, More... more) {
        detail::check(r);
        reduce_over(r, std::make_tuple(reduction, f, more...), std::make_index_sequence<1 + sizeof...(More)>());
    }
    template <class Name = void, int D, class F> void parallel_for_work_group(range<D> n, range<D> items, const F &f) {
        detail::hierarchical<D, F> h{f, n, items};
        __refwasm_parallel_groups(detail::hierarchical<D, F>::run, &h, detail::counted(n.size()), 1, detail::counted(local));
    }
    template <class F> void host_task(const F &f) { f(); }
    template <class F> void codeplay_host_task(const F &f) { f(); }

    void depends_on(const event &) {}
    void depends_on(const std::vector<event> &) {}
    template <class A> void require(const A &) {}
    template <class... P> void use_kernel_bundle(const P &...) {}
    void memcpy(void *to, const void *from, size_t n) { std::memmove(to, from, n); }
    void memset(void *to, int value, size_t n) { std::memset(to, value, n); }
    template <class T, class V> void fill(T *to, const V &value, size_t n) { std::fill(to, to + n, static_cast<T>(value)); }
    template <class A, class T, class = std::void_t<decltype(std::declval<A>().get_range())>> void fill(A to, const T &value) {
        std::fill(to.begin(), to.end(), value);
    }
    template <class T> void copy(const T *from, T *to, size_t n) { std::copy(from, from + n, to); }
    template <class A, class B> void copy(A from, B to) {
        if constexpr (std::is_pointer_v<A>) std::copy(from, from + to.size(), to.begin());
        else if constexpr (std::is_pointer_v<B>) std::copy(from.begin(), from.end(), to);
        else std::copy(from.begin(), from.end(), to.begin());
    }
    template <class A> void update_host(const A &) {}
    void prefetch(const void *, size_t) {}
    void mem_advise(const void *, size_t, int) {}
    void ext_oneapi_barrier() {}
};

template <class T, int D> local_accessor<T, D>::local_accessor(const range<D> &r, handler &h, const property_list &)
    : offset(h.take_local(r.size() * sizeof(T))), all(r) {}

class queue {
    device on;
    bool ordered = false;

    template <class F> event run(F f) const {
        handler h;
        wasi_parallel_use(on.get_hint());
        uint64_t begin = detail::now();
        f(h);
        return {begin, detail::now()};
    }

    template <class T> static constexpr bool is_selector = std::is_invocable_r_v<int, const T &, const device &>;

public:
    explicit queue(const property_list &p = {}) : ordered(p.in_order) {}
    explicit queue(const async_handler &, const property_list &p = {}) : ordered(p.in_order) {}
    explicit queue(const device &d, const property_list &p = {}) : on(d), ordered(p.in_order) {}
    explicit queue(const device &d, const async_handler &, const property_list &p = {}) : on(d), ordered(p.in_order) {}
    template <class S, class = std::enable_if_t<is_selector<S>>>
    explicit queue(const S &selector, const property_list &p = {}) : on(selector), ordered(p.in_order) {}
    template <class S, class = std::enable_if_t<is_selector<S>>>
    explicit queue(const S &selector, const async_handler &, const property_list &p = {}) : on(selector), ordered(p.in_order) {}
    template <class S> explicit queue(const context &, const S &selector, const property_list &p = {})
        : on(selector), ordered(p.in_order) {}
    template <class S> explicit queue(const context &, const S &selector, const async_handler &, const property_list &p = {})
        : on(selector), ordered(p.in_order) {}

    device get_device() const { return on; }
    context get_context() const { return context(on); }
    backend get_backend() const { return backend::wasi_parallel; }
    bool is_in_order() const { return ordered; }
    bool is_host() const { return false; }
    template <class P> bool has_property() const { return std::is_same_v<P, property::queue::in_order> && ordered; }

    template <class F> event submit(F f) { return run(f); }
    template <class F> event submit(F f, queue &) { return run(f); }
    void wait() const {}
    void wait_and_throw() const {}
    void throw_asynchronous() const {}

    template <class Name = void, class F> event single_task(const F &f) {
        return run([&](handler &h) { h.single_task(f); });
    }
    template <class Name = void, int D, class... A> event parallel_for(range<D> r, const A &...a) { return loop(r, a...); }
    template <class Name = void, int D, class... A> event parallel_for(nd_range<D> r, const A &...a) { return loop(r, a...); }
    template <class Name = void, class... A> event parallel_for(size_t n, const A &...a) { return loop(range<1>(n), a...); }

    event memcpy(void *to, const void *from, size_t n) {
        return run([&](handler &h) { h.memcpy(to, from, n); });
    }
    event memset(void *to, int value, size_t n) {
        return run([&](handler &h) { h.memset(to, value, n); });
    }
    template <class T, class V> event fill(T *to, const V &value, size_t n) {
        return run([&](handler &h) { h.fill(to, value, n); });
    }
    template <class T> event copy(const T *from, T *to, size_t n) {
        return run([&](handler &h) { h.copy(from, to, n); });
    }
#define REFWASM_AFTER(events)                                                                                            \
    event memcpy(void *to, const void *from, size_t n, events) { return memcpy(to, from, n); }                           \
    event memset(void *to, int value, size_t n, events) { return memset(to, value, n); }                                 \
    template <class T, class V> event fill(T *to, const V &value, size_t n, events) { return fill(to, value, n); }       \
    template <class T> event copy(const T *from, T *to, size_t n, events) { return copy(from, to, n); }                  \
    template <class Name = void, class F> event single_task(events, const F &f) { return single_task(f); }               \
    template <class Name = void, int D, class... A> event parallel_for(range<D> r, events, const A &...a) {              \
        return loop(r, a...);                                                                                            \
    }                                                                                                                    \
    template <class Name = void, int D, class... A> event parallel_for(nd_range<D> r, events, const A &...a) {           \
        return loop(r, a...);                                                                                            \
    }
    REFWASM_AFTER(const event &)
    REFWASM_AFTER(const std::vector<event> &)
#undef REFWASM_AFTER
    template <class... E> event prefetch(const void *, size_t, const E &...) { return {}; }
    template <class... E> event mem_advise(const void *, size_t, int, const E &...) { return {}; }
    friend bool operator==(const queue &a, const queue &b) { return a.on == b.on; }

private:
    template <class R, class... A> event loop(R r, const A &...a) {
        return run([&](handler &h) { h.parallel_for(r, a...); });
    }
};

// Text from kernels; it appears after the kernel, in the order of its iterations.
class stream {
public:
    struct end {};
    stream(size_t, size_t, handler &, const property_list & = {}) {}
    const stream &operator<<(const char *text) const { return std::fputs(text, stdout), *this; }
    const stream &operator<<(const std::string &text) const { return *this << text.c_str(); }
    const stream &operator<<(char c) const { return std::fputc(c, stdout), *this; }
    const stream &operator<<(bool b) const { return *this << (b ? "1" : "0"); }
    const stream &operator<<(end) const { return *this << '\n'; }
    const stream &operator<<(const void *p) const { return std::printf("%p", p), *this; }
    template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>> const stream &operator<<(T x) const {
        if constexpr (std::is_floating_point_v<T>) std::printf("%g", static_cast<double>(x));
        else if constexpr (std::is_signed_v<T>) std::printf("%lld", static_cast<long long>(x));
        else std::printf("%llu", static_cast<unsigned long long>(x));
        return *this;
    }
    template <int D> const stream &operator<<(const id<D> &i) const { return numbers<D>(i); }
    template <int D> const stream &operator<<(const range<D> &r) const { return numbers<D>(r); }
    template <int D> const stream &operator<<(const item<D> &i) const { return *this << i.get_id(); }

private:
    template <int D, class X> const stream &numbers(const X &x) const {
        *this << '{';
        for (int d = 0; d < D; d++) *this << (d ? ", " : "") << x[d];
        return *this << '}';
    }
};
inline constexpr stream::end endl{};
namespace ext::oneapi::experimental {
template <class... A> int printf(const char *format, A... a) { return std::printf(format, a...); }
} // namespace ext::oneapi::experimental

} // namespace sycl
