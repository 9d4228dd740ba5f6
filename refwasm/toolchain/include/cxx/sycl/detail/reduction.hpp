// Reductions. Each chunk of a loop has its own partial results; they are combined in the order of the chunks, so the
// result is the same on every device.
#pragma once
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace sycl {

// A few elements one after the other (std::span of C++20).
template <class T, size_t N = static_cast<size_t>(-1)> class span {
    T *first = nullptr;
    size_t count = 0;

public:
    span() = default;
    span(T *p, size_t n) : first(p), count(n) {}
    template <class C> span(C &c) : first(std::data(c)), count(std::size(c)) {}
    T &operator[](size_t i) const { return first[i]; }
    T *data() const { return first; }
    size_t size() const { return count; }
    T *begin() const { return first; }
    T *end() const { return first + count; }
};

namespace detail {

// The partial results of a reduction: `count` of them, which are empty until something is combined.
template <class T, class Op> class partial {
public:
    std::vector<std::optional<T>> values;
    Op op;
    partial(size_t count, Op o) : values(count), op(o) {}
    void combine(size_t i, const T &x) {
        if (values[i]) values[i] = op(*values[i], x);
        else values[i] = x;
    }
};

// What is reduced into `count` elements at `into`.
template <class T, class Op> struct reduction_of {
    using partial_type = partial<T, Op>;
    T *into;
    size_t count;
    Op op;
    bool overwrite;
    partial_type make() const { return {count, op}; }
    void finish(std::vector<partial_type> &parts, const std::optional<T> &identity) {
        for (size_t i = 0; i < count; i++) {
            std::optional<T> r;
            if (!overwrite) r = into[i];
            for (partial_type &p : parts)
                if (p.values[i]) r = r ? op(*r, *p.values[i]) : *p.values[i];
            if (r) into[i] = *r;
            else if (identity) into[i] = *identity;
        }
    }
    std::optional<T> identity;
};

} // namespace detail

// What a kernel combines its values into.
template <class T, class Op> class reducer {
    detail::partial<T, Op> *into;
    size_t index;

public:
    using value_type = T;
    reducer(detail::partial<T, Op> &p, size_t i = 0) : into(&p), index(i) {}
    void combine(const T &x) const { into->combine(index, x); }
    reducer operator[](size_t i) const { return {*into, i}; }
    T identity() const { return T{}; }
    template <class U> const reducer &operator+=(const U &x) const { return combine(x), *this; }
    template <class U> const reducer &operator*=(const U &x) const { return combine(x), *this; }
    template <class U> const reducer &operator&=(const U &x) const { return combine(x), *this; }
    template <class U> const reducer &operator|=(const U &x) const { return combine(x), *this; }
    template <class U> const reducer &operator^=(const U &x) const { return combine(x), *this; }
    const reducer &operator++() const { return combine(T(1)), *this; }
    const reducer &operator++(int) const { return combine(T(1)), *this; }
};

template <class T, int D, class A, class Op>
auto reduction(buffer<T, D, A> b, handler &, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{b.get_memory(), 1, op, properties.to_identity, {}};
}
template <class T, int D, class A, class Op>
auto reduction(buffer<T, D, A> b, handler &, const T &identity, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{b.get_memory(), 1, op, properties.to_identity, identity};
}
template <class T, class Op> auto reduction(T *into, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{into, 1, op, properties.to_identity, {}};
}
template <class T, class Op> auto reduction(T *into, const T &identity, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{into, 1, op, properties.to_identity, identity};
}
template <class T, size_t N, class Op> auto reduction(span<T, N> into, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{into.data(), into.size(), op, properties.to_identity, {}};
}
template <class T, size_t N, class Op>
auto reduction(span<T, N> into, const T &identity, Op op, const property_list &properties = {}) {
    return detail::reduction_of<T, Op>{into.data(), into.size(), op, properties.to_identity, identity};
}

} // namespace sycl
