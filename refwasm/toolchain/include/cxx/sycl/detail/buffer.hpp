// Buffers and accessors. A buffer made of a host pointer is that memory; any other has memory of its own.
#pragma once
#include <algorithm>
#include <iterator>
#include <memory>
#include <type_traits>
#include <vector>

namespace sycl {

class handler;

template <access_mode M> struct mode_tag_t {};
template <access_mode M, target T> struct mode_target_tag_t {};
inline constexpr mode_tag_t<access_mode::read> read_only{};
inline constexpr mode_tag_t<access_mode::read_write> read_write{};
inline constexpr mode_tag_t<access_mode::write> write_only{};
inline constexpr mode_target_tag_t<access_mode::read, target::host_task> read_only_host_task{};
inline constexpr mode_target_tag_t<access_mode::read_write, target::host_task> read_write_host_task{};
inline constexpr mode_target_tag_t<access_mode::write, target::host_task> write_only_host_task{};

template <class T> using buffer_allocator = std::allocator<T>;
template <class T, int D = 1, access_mode M = std::is_const_v<T> ? access_mode::read : access_mode::read_write,
          target G = target::device, access::placeholder P = access::placeholder::false_t>
class accessor;
template <class T, int D = 1, access_mode M = access_mode::read_write> class host_accessor;

namespace detail {

// What all copies of a buffer share. `back` copies the contents to where they go in the end.
template <class T> struct storage {
    std::vector<T> own;
    T *data = nullptr;
    size_t count = 0;
    std::function<void(const T *, size_t)> back;
    bool writes_back = true;
    ~storage() {
        if (back && writes_back) back(data, count);
    }
};

template <class C> using element = std::remove_pointer_t<decltype(std::data(std::declval<C &>()))>;

// acc[i][j]: the part of an array that the first indices choose.
template <class T, int D, int Left> class part {
    T *data;
    range<D> all;
    size_t at;

public:
    part(T *d, const range<D> &r, size_t n) : data(d), all(r), at(n) {}
    decltype(auto) operator[](size_t i) const {
        size_t n = at * all[D - Left] + i;
        if constexpr (Left == 1) return (data[n]);
        else return part<T, D, Left - 1>(data, all, n);
    }
};

// A view of an array, which all accessors are. Iteration is over the accessor's part.
template <class T, int D> class view {
protected:
    T *data = nullptr;
    range<D> all, own; // of the array, and of the part that the accessor may touch
    id<D> first;

public:
    using value_type = T;
    using reference = T &;
    using const_reference = const T &;
    static constexpr int dimensions = D;

    view() = default;
    view(T *d, const range<D> &r) : data(d), all(r), own(r) {}
    view(T *d, const range<D> &r, const range<D> &part, const id<D> &offset) : data(d), all(r), own(part), first(offset) {}
    T &operator[](const id<D> &i) const { return data[linear<D>(i, all)]; }
    template <class I, int N = D, class = std::enable_if_t<std::is_integral_v<I> && (N > 1)>>
    auto operator[](I i) const {
        return part<T, D, D - 1>(data, all, static_cast<size_t>(i));
    }
    template <int N = D, class = std::enable_if_t<N == 1>> T &operator[](size_t i) const { return data[i]; }
    range<D> get_range() const { return own; }
    id<D> get_offset() const { return first; }
    size_t size() const { return own.size(); }
    size_t get_count() const { return own.size(); }
    size_t byte_size() const { return own.size() * sizeof(T); }
    size_t get_size() const { return byte_size(); }
    bool empty() const { return size() == 0; }
    T *get_pointer() const { return data; }
    template <access::decorated = access::decorated::no> T *get_multi_ptr() const { return data; }
    T *begin() const { return data + linear<D>(first, all); }
    T *end() const { return begin() + own.size(); }
};

template <access_mode M, class T> using seen = std::conditional_t<M == access_mode::read, const T, T>;

} // namespace detail

template <class T, int D = 1, class Allocator = buffer_allocator<T>> class buffer {
    std::shared_ptr<detail::storage<T>> memory = std::make_shared<detail::storage<T>>();
    range<D> all;
    size_t skipped = 0; // elements before a sub-buffer

    void make_own() {
        memory->own.resize(memory->count);
        memory->data = memory->own.data();
    }
    template <class, int, class> friend class buffer;

public:
    using value_type = T;
    using reference = T &;
    using allocator_type = Allocator;

    buffer(const range<D> &r, const property_list & = {}) : all(r) {
        memory->count = r.size();
        make_own();
    }
    buffer(const range<D> &r, const Allocator &, const property_list & = {}) : buffer(r) {}
    buffer(T *host, const range<D> &r, const Allocator &, const property_list & = {}) : buffer(host, r) {}
    buffer(T *host, const range<D> &r, const property_list & = {}) : all(r) {
        memory->count = r.size();
        memory->data = host;
    }
    buffer(const T *host, const range<D> &r, const property_list & = {}) : buffer(r) {
        std::copy(host, host + r.size(), memory->data);
    }
    buffer(const std::shared_ptr<T> &host, const range<D> &r, const property_list & = {}) : buffer(host.get(), r) {
        memory->back = [host](const T *, size_t) {};
    }
    template <class C, int N = D, class E = detail::element<C>, class = std::enable_if_t<N == 1>>
    buffer(C &host, const property_list & = {}) : all(std::size(host)) {
        memory->count = std::size(host);
        if constexpr (std::is_const_v<E>) {
            make_own();
            std::copy(std::data(host), std::data(host) + memory->count, memory->data);
        } else memory->data = std::data(host);
    }
    template <class I, int N = D, class = std::enable_if_t<N == 1>, class = typename std::iterator_traits<I>::value_type>
    buffer(I first, I last, const property_list & = {}) : buffer(range<1>(static_cast<size_t>(std::distance(first, last)))) {
        std::copy(first, last, memory->data);
    }
    buffer(buffer &b, const id<D> &offset, const range<D> &part) : memory(b.memory), all(part) {
        skipped = b.skipped + detail::linear<D>(offset, b.all);
    }

    range<D> get_range() const { return all; }
    size_t size() const { return all.size(); }
    size_t get_count() const { return all.size(); }
    size_t byte_size() const { return all.size() * sizeof(T); }
    size_t get_size() const { return byte_size(); }
    Allocator get_allocator() const { return {}; }
    bool is_sub_buffer() const { return skipped != 0; }
    T *get_memory() const { return memory->data + skipped; }

    template <access_mode M = access_mode::read_write, target G = target::device> accessor<T, D, M, G> get_access(handler &h) {
        return {*this, h};
    }
    template <access_mode M, target G = target::device>
    accessor<T, D, M, G> get_access(handler &h, range<D> r, id<D> offset = {}) {
        return {*this, h, r, offset};
    }
    template <access_mode M> host_accessor<T, D, M> get_access() { return {*this}; }
    template <access_mode M> host_accessor<T, D, M> get_access(range<D> r, id<D> offset = {}) { return {*this, r, offset}; }
    template <class... A> auto get_access(handler &h, A... a) { return accessor(*this, h, a...); }
    template <class... A> auto get_host_access(A... a) { return host_accessor(*this, a...); }

    template <class Target> void set_final_data(Target target) {
        if constexpr (std::is_null_pointer_v<Target>) memory->back = nullptr;
        else if constexpr (std::is_constructible_v<std::weak_ptr<T>, Target>)
            memory->back = [w = std::weak_ptr<T>(target)](const T *d, size_t n) {
                if (auto p = w.lock()) std::copy(d, d + n, p.get());
            };
        else memory->back = [target](const T *d, size_t n) { std::copy(d, d + n, target); };
    }
    void set_write_back(bool flag = true) { memory->writes_back = flag; }
    template <class U, int E> buffer<U, E> reinterpret(range<E> r) const {
        buffer<U, E> other(reinterpret_cast<U *>(get_memory()), r);
        other.memory->back = [kept = memory](const U *, size_t) {};
        return other;
    }
    friend bool operator==(const buffer &a, const buffer &b) { return a.memory == b.memory; }
};
template <class T, int D> buffer(T *, range<D>) -> buffer<T, D>;
template <class T, int D> buffer(const T *, range<D>) -> buffer<T, D>;
template <class T, int D> buffer(T *, range<D>, const property_list &) -> buffer<T, D>;
template <class T, int D> buffer(std::shared_ptr<T>, range<D>) -> buffer<T, D>;
template <class T, int D, class A> buffer(buffer<T, D, A> &, id<D>, range<D>) -> buffer<T, D, A>;
template <class C> buffer(C &) -> buffer<std::remove_const_t<detail::element<C>>, 1>;
template <class C> buffer(C &, const property_list &) -> buffer<std::remove_const_t<detail::element<C>>, 1>;
template <class I, class V = typename std::iterator_traits<I>::value_type> buffer(I, I) -> buffer<V, 1>;
template <class I, class V = typename std::iterator_traits<I>::value_type>
buffer(I, I, const property_list &) -> buffer<V, 1>;

template <class T, int D, access_mode M, target G, access::placeholder P>
class accessor : public detail::view<detail::seen<M, T>, D> {
    using base = detail::view<detail::seen<M, T>, D>;

public:
    accessor() = default;
    template <class A, class... More> accessor(buffer<std::remove_const_t<T>, D, A> &b, More... more) : base(b.get_memory(), b.get_range()) { (note(more), ...); }
    template <class A, class... More> accessor(buffer<std::remove_const_t<T>, D, A> &b, handler &, More... more) : base(b.get_memory(), b.get_range()) {
        (note(more), ...);
    }
    bool is_placeholder() const { return P == access::placeholder::true_t; }

private:
    void note(const range<D> &r) { this->own = r; }
    void note(const id<D> &offset) { this->first = offset; }
    template <class X> void note(const X &) {}
};
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, range<D>, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, range<D>, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, range<D>, id<D>, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, range<D>, id<D>, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A> accessor(buffer<T, D, A> &) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, range<D>) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, range<D>, id<D>) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, property_list) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, property::no_init) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, handler &, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, handler &, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, handler &, range<D>, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, handler &, range<D>, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A, access_mode M, class... X>
accessor(buffer<T, D, A> &, handler &, range<D>, id<D>, mode_tag_t<M>, X...) -> accessor<T, D, M>;
template <class T, int D, class A, access_mode M, target G, class... X>
accessor(buffer<T, D, A> &, handler &, range<D>, id<D>, mode_target_tag_t<M, G>, X...) -> accessor<T, D, M, G>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, handler &) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, handler &, range<D>) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, handler &, range<D>, id<D>) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, handler &, property_list) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> accessor(buffer<T, D, A> &, handler &, property::no_init) -> accessor<T, D, access_mode::read_write>;
template <class T, int D, class A, access_mode M, class... X>
host_accessor(buffer<T, D, A> &, mode_tag_t<M>, X...) -> host_accessor<T, D, M>;
template <class T, int D, class A, access_mode M, class... X>
host_accessor(buffer<T, D, A> &, range<D>, mode_tag_t<M>, X...) -> host_accessor<T, D, M>;
template <class T, int D, class A, access_mode M, class... X>
host_accessor(buffer<T, D, A> &, range<D>, id<D>, mode_tag_t<M>, X...) -> host_accessor<T, D, M>;
template <class T, int D, class A> host_accessor(buffer<T, D, A> &) -> host_accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> host_accessor(buffer<T, D, A> &, range<D>) -> host_accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> host_accessor(buffer<T, D, A> &, range<D>, id<D>) -> host_accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> host_accessor(buffer<T, D, A> &, property_list) -> host_accessor<T, D, access_mode::read_write>;
template <class T, int D, class A> host_accessor(buffer<T, D, A> &, property::no_init) -> host_accessor<T, D, access_mode::read_write>;

template <class T, int D, access_mode M> class host_accessor : public detail::view<detail::seen<M, T>, D> {
    using base = detail::view<detail::seen<M, T>, D>;

public:
    host_accessor() = default;
    template <class A, class... More> host_accessor(buffer<std::remove_const_t<T>, D, A> &b, More... more) : base(b.get_memory(), b.get_range()) {
        (note(more), ...);
    }

private:
    void note(const range<D> &r) { this->own = r; }
    void note(const id<D> &offset) { this->first = offset; }
    template <class X> void note(const X &) {}
};

// Local memory of a work-group: where it lies among the group's is known, where that lies each worker knows.
template <class T, int D = 1> class local_accessor {
    size_t offset = 0;
    range<D> all;
    T *memory() const { return reinterpret_cast<T *>(__refwasm_local + offset); }

public:
    using value_type = T;
    local_accessor() = default;
    local_accessor(const range<D> &r, handler &h, const property_list & = {});
    T &operator[](const id<D> &i) const { return memory()[detail::linear<D>(i, all)]; }
    template <class I, int N = D, class = std::enable_if_t<std::is_integral_v<I> && (N > 1)>> auto operator[](I i) const {
        return detail::part<T, D, D - 1>(memory(), all, static_cast<size_t>(i));
    }
    template <int N = D, class = std::enable_if_t<N == 1>> T &operator[](size_t i) const { return memory()[i]; }
    range<D> get_range() const { return all; }
    size_t size() const { return all.size(); }
    size_t byte_size() const { return size() * sizeof(T); }
    T *get_pointer() const { return memory(); }
    template <access::decorated = access::decorated::no> T *get_multi_ptr() const { return memory(); }
    T *begin() const { return memory(); }
    T *end() const { return memory() + size(); }
};

// The older name of a local accessor.
template <class T, int D, access_mode M, access::placeholder P>
class accessor<T, D, M, target::local, P> : public local_accessor<T, D> {
public:
    using local_accessor<T, D>::local_accessor;
};

} // namespace sycl
