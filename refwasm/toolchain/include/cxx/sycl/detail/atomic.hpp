// Atomic references, which are sequentially consistent whatever was asked for, and fences.
#pragma once
#include <type_traits>

namespace sycl {

template <class T, memory_order Order, memory_scope Scope,
          access::address_space Space = access::address_space::generic_space>
class atomic_ref {
    T *place;

    template <class F> T change(F f) const {
        T old = load(), next;
        do next = f(old);
        while (!__atomic_compare_exchange(place, &old, &next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
        return old;
    }

public:
    using value_type = T;
    explicit atomic_ref(T &t) : place(&t) {}
    bool is_lock_free() const { return true; }
    T load(memory_order = Order, memory_scope = Scope) const {
        T t;
        __atomic_load(place, &t, __ATOMIC_SEQ_CST);
        return t;
    }
    void store(T t, memory_order = Order, memory_scope = Scope) const { __atomic_store(place, &t, __ATOMIC_SEQ_CST); }
    T exchange(T t, memory_order = Order, memory_scope = Scope) const {
        T old;
        __atomic_exchange(place, &t, &old, __ATOMIC_SEQ_CST);
        return old;
    }
    template <class... More> bool compare_exchange_strong(T &expected, T t, More...) const {
        return __atomic_compare_exchange(place, &expected, &t, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    template <class... More> bool compare_exchange_weak(T &expected, T t, More...) const {
        return compare_exchange_strong(expected, t);
    }
    template <class U, class... More> T fetch_add(U by, More...) const {
        if constexpr (std::is_integral_v<T>) return __atomic_fetch_add(place, static_cast<T>(by), __ATOMIC_SEQ_CST);
        else return change([=](T t) { return static_cast<T>(t + by); });
    }
    template <class U, class... More> T fetch_sub(U by, More...) const {
        return change([=](T t) { return static_cast<T>(t - by); });
    }
    template <class... More> T fetch_and(T by, More...) const { return __atomic_fetch_and(place, by, __ATOMIC_SEQ_CST); }
    template <class... More> T fetch_or(T by, More...) const { return __atomic_fetch_or(place, by, __ATOMIC_SEQ_CST); }
    template <class... More> T fetch_xor(T by, More...) const { return __atomic_fetch_xor(place, by, __ATOMIC_SEQ_CST); }
    template <class... More> T fetch_min(T by, More...) const {
        return change([=](T t) { return by < t ? by : t; });
    }
    template <class... More> T fetch_max(T by, More...) const {
        return change([=](T t) { return t < by ? by : t; });
    }
    operator T() const { return load(); }
    T operator=(T t) const { return store(t), t; }
    T operator++() const { return fetch_add(1) + 1; }
    T operator++(int) const { return fetch_add(1); }
    T operator--() const { return fetch_sub(1) - 1; }
    T operator--(int) const { return fetch_sub(1); }
    T operator+=(T by) const { return fetch_add(by) + by; }
    T operator-=(T by) const { return fetch_sub(by) - by; }
    T operator&=(T by) const { return fetch_and(by) & by; }
    T operator|=(T by) const { return fetch_or(by) | by; }
    T operator^=(T by) const { return fetch_xor(by) ^ by; }
};

inline void atomic_fence(memory_order, memory_scope) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

} // namespace sycl
