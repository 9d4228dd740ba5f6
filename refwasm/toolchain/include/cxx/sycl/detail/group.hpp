// Group algorithms. Each item shows the others where its value is; all are stopped at a barrier meanwhile, so the value stays.
#pragma once
#include <functional>
#include <type_traits>

namespace sycl {

template <class T = void> struct plus : std::plus<T> {};
template <class T = void> struct multiplies : std::multiplies<T> {};
template <class T = void> struct bit_and : std::bit_and<T> {};
template <class T = void> struct bit_or : std::bit_or<T> {};
template <class T = void> struct bit_xor : std::bit_xor<T> {};
template <class T = void> struct logical_and : std::logical_and<T> {};
template <class T = void> struct logical_or : std::logical_or<T> {};
template <class T = void> struct minimum {
    T operator()(const T &a, const T &b) const { return b < a ? b : a; }
};
template <> struct minimum<void> {
    template <class A, class B> auto operator()(const A &a, const B &b) const { return b < a ? b : a; }
};
template <class T = void> struct maximum {
    T operator()(const T &a, const T &b) const { return a < b ? b : a; }
};
template <> struct maximum<void> {
    template <class A, class B> auto operator()(const A &a, const B &b) const { return a < b ? b : a; }
};

namespace detail {

// The place of an item's value; these places lie before the group's local memory.
inline const void *&shown(size_t item) { return *(reinterpret_cast<const void **>(__refwasm_local) - 1 - item); }

template <class G> size_t own_item(const G &g) { return g.first_item() + g.get_local_linear_id(); }

// Show a value to the items of a group, let `look` look at all of them, and go on when everybody has.
template <class G, class T, class Look> auto exchange(const G &g, const T &value, Look look) {
    shown(own_item(g)) = &value;
    __refwasm_suspend();
    auto result = look([&](size_t i) -> const T & { return *static_cast<const T *>(shown(g.first_item() + i)); },
                       static_cast<size_t>(g.get_local_linear_range()));
    __refwasm_suspend();
    return result;
}

} // namespace detail

template <class G> void group_barrier(const G &, memory_scope = G::fence_scope) { __refwasm_suspend(); }

template <class G, class T> T group_broadcast(const G &g, T x, size_t from = 0) {
    return detail::exchange(g, x, [=](auto value, size_t) { return T(value(from)); });
}
template <class G, class T, int D> T group_broadcast(const G &g, T x, id<D> from) {
    return group_broadcast(g, x, detail::linear<D>(from, g.get_local_range()));
}
template <class G, class T, class Op> T reduce_over_group(const G &g, T x, Op op) {
    return detail::exchange(g, x, [=](auto value, size_t n) {
        T r = value(0);
        for (size_t i = 1; i < n; i++) r = op(r, value(i));
        return r;
    });
}
template <class G, class V, class T, class Op> T reduce_over_group(const G &g, V x, T init, Op op) {
    return op(init, reduce_over_group(g, T(x), op));
}
template <class G, class T, class Op> T inclusive_scan_over_group(const G &g, T x, Op op) {
    size_t own = g.get_local_linear_id();
    return detail::exchange(g, x, [=](auto value, size_t) {
        T r = value(0);
        for (size_t i = 1; i <= own; i++) r = op(r, value(i));
        return r;
    });
}
template <class G, class V, class T, class Op> T exclusive_scan_over_group(const G &g, V x, T init, Op op) {
    size_t own = g.get_local_linear_id();
    return detail::exchange(g, T(x), [=](auto value, size_t) {
        T r = init;
        for (size_t i = 0; i < own; i++) r = op(r, value(i));
        return r;
    });
}
template <class G, class T, class Op> T exclusive_scan_over_group(const G &g, T x, Op op) {
    return exclusive_scan_over_group(g, x, T{}, op);
}
template <class G> bool any_of_group(const G &g, bool x) { return reduce_over_group(g, x, logical_or<bool>()); }
template <class G> bool all_of_group(const G &g, bool x) { return reduce_over_group(g, x, logical_and<bool>()); }
template <class G> bool none_of_group(const G &g, bool x) { return !any_of_group(g, x); }
template <class G, class P, class F> bool any_of_group(const G &g, P x, F f) { return any_of_group(g, bool(f(x))); }
template <class G, class P, class F> bool all_of_group(const G &g, P x, F f) { return all_of_group(g, bool(f(x))); }

template <class G, class P, class T, class Op> T joint_reduce(const G &g, P first, P last, T init, Op op) {
    T r = init;
    for (P p = first; p != last; ++p) r = op(r, *p);
    __refwasm_suspend();
    return r;
}
template <class G, class P, class Op> auto joint_reduce(const G &g, P first, P last, Op op) {
    auto r = *first;
    return joint_reduce(g, first + 1, last, r, op);
}

template <class G, class T> T select_from_group(const G &g, T x, id<1> from) {
    return detail::exchange(g, x, [=](auto value, size_t n) { return T(value(from[0] % n)); });
}
template <class G, class T> T shift_group_left(const G &g, T x, uint32_t by = 1) {
    size_t own = g.get_local_linear_id();
    return detail::exchange(g, x, [=](auto value, size_t n) { return T(value(own + by < n ? own + by : own)); });
}
template <class G, class T> T shift_group_right(const G &g, T x, uint32_t by = 1) {
    size_t own = g.get_local_linear_id();
    return detail::exchange(g, x, [=](auto value, size_t) { return T(value(own >= by ? own - by : own)); });
}
template <class G, class T> T permute_group_by_xor(const G &g, T x, uint32_t mask) {
    size_t own = g.get_local_linear_id();
    return detail::exchange(g, x, [=](auto value, size_t n) { return T(value((own ^ mask) < n ? own ^ mask : own)); });
}

} // namespace sycl
