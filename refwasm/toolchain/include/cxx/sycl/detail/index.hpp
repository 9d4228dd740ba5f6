// Index spaces: range, id, nd_range, item, group, nd_item.
#pragma once
#include <sycl/detail/operators.hpp>
#include <cstddef>
#include <cstdint>
#include <type_traits>

extern "C" {
void __refwasm_suspend(void);
extern thread_local char *__refwasm_local;
}

namespace sycl {

namespace access {
enum class fence_space { local_space, global_space, global_and_local };
enum class address_space { global_space, local_space, constant_space, private_space, generic_space };
enum class decorated { no, yes, legacy };
enum class mode { read = 1024, write, read_write, discard_write, discard_read_write, atomic };
enum class target { device = 2014, host_buffer, local, constant_buffer, global_buffer = device, host_task };
enum class placeholder { false_t, true_t };
} // namespace access
using access_mode = access::mode;
using target = access::target;

template <int D = 1> class id;
template <int D = 1> class range;

namespace detail {

template <class N> using integral = std::enable_if_t<std::is_integral_v<N>>;

// Up to three numbers, the last of which varies fastest.
template <int D, class Own> class numbers {
protected:
    size_t value[D] = {};

public:
    numbers() = default;
    size_t get(int dimension) const { return value[dimension]; }
    size_t &operator[](int dimension) { return value[dimension]; }
    size_t operator[](int dimension) const { return value[dimension]; }

#define REFWASM_OPERATOR(op)                                                 \
    friend Own operator op(const Own &a, const Own &b) {                     \
        Own r = a;                                                           \
        for (int d = 0; d < D; d++) r.value[d] = a.value[d] op b.value[d];   \
        return r;                                                            \
    }                                                                        \
    template <class N, class = integral<N>> friend Own operator op(const Own &a, N b) {        \
        Own r = a;                                                                             \
        for (int d = 0; d < D; d++) r.value[d] = a.value[d] op static_cast<size_t>(b);         \
        return r;                                                                              \
    }                                                                                          \
    template <class N, class = integral<N>> friend Own operator op(N a, const Own &b) {        \
        Own r = b;                                                                             \
        for (int d = 0; d < D; d++) r.value[d] = static_cast<size_t>(a) op b.value[d];         \
        return r;                                                                              \
    }                                                                                          \
    friend Own &operator op##=(Own &a, const Own &b) { return a = a op b; }  \
    template <class N, class = integral<N>> friend Own &operator op##=(Own &a, N b) { return a = a op b; }
    REFWASM_OPERATORS(REFWASM_OPERATOR)
#undef REFWASM_OPERATOR
    friend bool operator==(const Own &a, const Own &b) {
        for (int d = 0; d < D; d++)
            if (a.value[d] != b.value[d]) return false;
        return true;
    }
    friend bool operator!=(const Own &a, const Own &b) { return !(a == b); }
    template <class N, class = integral<N>> friend bool operator==(const Own &a, N b) {
        return a.value[0] == static_cast<size_t>(b);
    }
    template <class N, class = integral<N>> friend bool operator!=(const Own &a, N b) { return !(a == b); }
};

// What has one number may stand for it.
template <int D, class Own> struct number {};
template <class Own> struct number<1, Own> {
    operator size_t() const { return static_cast<const Own &>(*this)[0]; }
};

} // namespace detail

template <int D> class range : public detail::numbers<D, range<D>> {
public:
    static constexpr int dimensions = D;
    range() = default;
    template <int N = D, class = std::enable_if_t<N == 1>> range(size_t a) { this->value[0] = a; }
    template <int N = D, class = std::enable_if_t<N == 2>> range(size_t a, size_t b) {
        this->value[0] = a, this->value[1] = b;
    }
    template <int N = D, class = std::enable_if_t<N == 3>> range(size_t a, size_t b, size_t c) {
        this->value[0] = a, this->value[1] = b, this->value[2] = c;
    }
    size_t size() const {
        size_t n = 1;
        for (int d = 0; d < D; d++) n *= this->value[d];
        return n;
    }
};
range(size_t) -> range<1>;
range(size_t, size_t) -> range<2>;
range(size_t, size_t, size_t) -> range<3>;

template <int D = 1, bool Offset = true> class item;

template <int D> class id : public detail::numbers<D, id<D>>, public detail::number<D, id<D>> {
public:
    static constexpr int dimensions = D;
    id() = default;
    template <int N = D, class = std::enable_if_t<N == 1>> id(size_t a) { this->value[0] = a; }
    template <int N = D, class = std::enable_if_t<N == 2>> id(size_t a, size_t b) { this->value[0] = a, this->value[1] = b; }
    template <int N = D, class = std::enable_if_t<N == 3>> id(size_t a, size_t b, size_t c) {
        this->value[0] = a, this->value[1] = b, this->value[2] = c;
    }
    id(const range<D> &r) {
        for (int d = 0; d < D; d++) this->value[d] = r[d];
    }
    template <bool Offset> id(const item<D, Offset> &i) : id(i.get_id()) {}
};
id(size_t) -> id<1>;
id(size_t, size_t) -> id<2>;
id(size_t, size_t, size_t) -> id<3>;

namespace detail {

template <int D> size_t linear(const id<D> &i, const range<D> &r) {
    size_t n = 0;
    for (int d = 0; d < D; d++) n = n * r[d] + i[d];
    return n;
}
template <int D> id<D> place(size_t n, const range<D> &r) {
    id<D> i;
    if constexpr (D == 1) i[0] = n;
    else
        for (int d = D - 1; d >= 0; d--) i[d] = n % r[d], n /= r[d];
    return i;
}

} // namespace detail

template <int D, bool Offset> class item : public detail::number<D, item<D, Offset>> {
    id<D> place;
    range<D> all;
    id<D> first;

public:
    static constexpr int dimensions = D;
    item(const id<D> &i, const range<D> &r, const id<D> &offset = {}) : place(i), all(r), first(offset) {}
    id<D> get_id() const { return place; }
    size_t get_id(int d) const { return place[d]; }
    size_t operator[](int d) const { return place[d]; }
    range<D> get_range() const { return all; }
    size_t get_range(int d) const { return all[d]; }
    id<D> get_offset() const { return first; }
    size_t get_linear_id() const { return detail::linear<D>(place - first, all); }
};

template <int D = 1> class nd_range {
    range<D> global, local;
    id<D> first;

public:
    static constexpr int dimensions = D;
    nd_range(range<D> g, range<D> l, id<D> offset = {}) : global(g), local(l), first(offset) {}
    range<D> get_global_range() const { return global; }
    range<D> get_local_range() const { return local; }
    range<D> get_group_range() const { return global / local; }
    id<D> get_offset() const { return first; }
};

enum class memory_scope { work_item, sub_group, work_group, device, system };
enum class memory_order { relaxed, acquire, release, acq_rel, seq_cst };
inline constexpr auto memory_scope_work_item = memory_scope::work_item;
inline constexpr auto memory_scope_sub_group = memory_scope::sub_group;
inline constexpr auto memory_scope_work_group = memory_scope::work_group;
inline constexpr auto memory_scope_device = memory_scope::device;
inline constexpr auto memory_scope_system = memory_scope::system;
inline constexpr auto memory_order_relaxed = memory_order::relaxed;
inline constexpr auto memory_order_acquire = memory_order::acquire;
inline constexpr auto memory_order_release = memory_order::release;
inline constexpr auto memory_order_acq_rel = memory_order::acq_rel;
inline constexpr auto memory_order_seq_cst = memory_order::seq_cst;

// In parallel_for_work_group: a work-item.
template <int D = 1> class h_item {
    item<D, false> global, local;

public:
    h_item(const item<D, false> &g, const item<D, false> &l) : global(g), local(l) {}
    item<D, false> get_global() const { return global; }
    item<D, false> get_local() const { return local; }
    id<D> get_global_id() const { return global.get_id(); }
    size_t get_global_id(int d) const { return global[d]; }
    id<D> get_local_id() const { return local.get_id(); }
    size_t get_local_id(int d) const { return local[d]; }
    range<D> get_global_range() const { return global.get_range(); }
    range<D> get_local_range() const { return local.get_range(); }
};

// A work-group. The work-items of one run on one worker.
template <int D = 1> class group {
    id<D> place;
    range<D> groups, local;
    size_t item;

public:
    using id_type = id<D>;
    using range_type = range<D>;
    using linear_id_type = size_t;
    static constexpr int dimensions = D;
    static constexpr memory_scope fence_scope = memory_scope::work_group;
    group(const id<D> &p, const range<D> &g, const range<D> &l, size_t i) : place(p), groups(g), local(l), item(i) {}
    id<D> get_id() const { return place; }
    size_t get_id(int d) const { return place[d]; }
    id<D> get_group_id() const { return place; }
    size_t get_group_id(int d) const { return place[d]; }
    size_t operator[](int d) const { return place[d]; }
    operator id<D>() const { return place; }
    range<D> get_group_range() const { return groups; }
    size_t get_group_range(int d) const { return groups[d]; }
    size_t get_group_linear_range() const { return groups.size(); }
    range<D> get_local_range() const { return local; }
    size_t get_local_range(int d) const { return local[d]; }
    size_t get_local_linear_range() const { return local.size(); }
    range<D> get_max_local_range() const { return local; }
    id<D> get_local_id() const { return detail::place<D>(item, local); }
    size_t get_local_id(int d) const { return get_local_id()[d]; }
    size_t get_local_linear_id() const { return item; }
    size_t get_group_linear_id() const { return detail::linear<D>(place, groups); }
    size_t get_linear_id() const { return get_group_linear_id(); }
    bool leader() const { return item == 0; }

    // Where the group's items are found, from their first on: all of the work-group.
    size_t first_item() const { return 0; }

    template <class F> void parallel_for_work_item(const F &f) const { parallel_for_work_item(local, f); }
    template <class F> void parallel_for_work_item(range<D> r, const F &f) const {
        for (size_t n = 0; n < r.size(); n++) {
            id<D> l = detail::place<D>(n, r), first;
            for (int d = 0; d < D; d++) first[d] = place[d] * local[d];
            f(h_item<D>(sycl::item<D, false>(first + l, groups * local), sycl::item<D, false>(l, r)));
        }
    }
};

// Part of a work-group: eight items that follow each other.
class sub_group {
    size_t item, items;

public:
    using id_type = id<1>;
    using range_type = range<1>;
    using linear_id_type = uint32_t;
    static constexpr int dimensions = 1;
    static constexpr memory_scope fence_scope = memory_scope::sub_group;
    static constexpr size_t size = 8;
    sub_group(size_t i, size_t n) : item(i), items(n) {}
    size_t first_item() const { return item / size * size; }
    id<1> get_local_id() const { return item % size; }
    uint32_t get_local_linear_id() const { return static_cast<uint32_t>(item % size); }
    range<1> get_local_range() const { return items - first_item() < size ? items - first_item() : size; }
    uint32_t get_local_linear_range() const { return static_cast<uint32_t>(get_local_range()[0]); }
    range<1> get_max_local_range() const { return size; }
    id<1> get_group_id() const { return item / size; }
    uint32_t get_group_linear_id() const { return static_cast<uint32_t>(item / size); }
    range<1> get_group_range() const { return (items + size - 1) / size; }
    uint32_t get_group_linear_range() const { return static_cast<uint32_t>(get_group_range()[0]); }
    bool leader() const { return get_local_linear_id() == 0; }
    void barrier() const { __refwasm_suspend(); }
};

template <int D = 1> class nd_item {
    id<D> which;
    size_t number;
    nd_range<D> all;

public:
    static constexpr int dimensions = D;
    nd_item(const id<D> &g, size_t item, const nd_range<D> &r) : which(g), number(item), all(r) {}
    id<D> get_local_id() const { return detail::place<D>(number, all.get_local_range()); }
    size_t get_local_id(int d) const { return get_local_id()[d]; }
    size_t get_local_linear_id() const { return number; }
    id<D> get_global_id() const {
        id<D> g = get_local_id();
        for (int d = 0; d < D; d++) g[d] += which[d] * all.get_local_range()[d] + all.get_offset()[d];
        return g;
    }
    size_t get_global_id(int d) const { return get_global_id()[d]; }
    size_t get_global_linear_id() const { return detail::linear<D>(get_global_id() - all.get_offset(), all.get_global_range()); }
    group<D> get_group() const { return {which, all.get_group_range(), all.get_local_range(), number}; }
    size_t get_group(int d) const { return which[d]; }
    size_t get_group_linear_id() const { return detail::linear<D>(which, all.get_group_range()); }
    range<D> get_group_range() const { return all.get_group_range(); }
    size_t get_group_range(int d) const { return get_group_range()[d]; }
    range<D> get_global_range() const { return all.get_global_range(); }
    size_t get_global_range(int d) const { return all.get_global_range()[d]; }
    range<D> get_local_range() const { return all.get_local_range(); }
    size_t get_local_range(int d) const { return all.get_local_range()[d]; }
    id<D> get_offset() const { return all.get_offset(); }
    nd_range<D> get_nd_range() const { return all; }
    sycl::sub_group get_sub_group() const { return {number, all.get_local_range().size()}; }
    // All items of the work-group come here before any goes on.
    void barrier(access::fence_space = access::fence_space::global_and_local) const { __refwasm_suspend(); }
    void mem_fence(access::fence_space = access::fence_space::global_and_local) const {}
};

} // namespace sycl
