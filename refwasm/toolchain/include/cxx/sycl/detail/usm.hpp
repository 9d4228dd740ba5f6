// Unified shared memory: all of it is the program's memory.
#pragma once
#include <cstdlib>

namespace sycl {

namespace usm {
enum class alloc { host, device, shared, unknown };
}

namespace detail {
inline void *allocate(size_t bytes, size_t align = 64) {
    return std::aligned_alloc(align < 16 ? 16 : align, (bytes + align - 1) / align * align);
}
} // namespace detail

#define REFWASM_USM(kind)                                                                                            \
    template <class... More> void *malloc_##kind(size_t bytes, const queue &, const More &...) {                     \
        return detail::allocate(bytes);                                                                              \
    }                                                                                                                \
    template <class... More> void *malloc_##kind(size_t bytes, const device &, const context &, const More &...) {   \
        return detail::allocate(bytes);                                                                              \
    }                                                                                                                \
    template <class T, class... More> T *malloc_##kind(size_t n, const queue &, const More &...) {                   \
        return static_cast<T *>(detail::allocate(n * sizeof(T)));                                                    \
    }                                                                                                                \
    template <class T, class... More> T *malloc_##kind(size_t n, const device &, const context &, const More &...) { \
        return static_cast<T *>(detail::allocate(n * sizeof(T)));                                                    \
    }                                                                                                                \
    template <class T> T *aligned_alloc_##kind(size_t align, size_t n, const queue &) {                              \
        return static_cast<T *>(detail::allocate(n * sizeof(T), align));                                             \
    }                                                                                                                \
    inline void *aligned_alloc_##kind(size_t align, size_t bytes, const queue &) { return detail::allocate(bytes, align); }
REFWASM_USM(device)
REFWASM_USM(shared)
#undef REFWASM_USM
template <class... More> void *malloc_host(size_t bytes, const queue &, const More &...) { return detail::allocate(bytes); }
template <class... More> void *malloc_host(size_t bytes, const context &, const More &...) { return detail::allocate(bytes); }
template <class T, class... More> T *malloc_host(size_t n, const queue &, const More &...) {
    return static_cast<T *>(detail::allocate(n * sizeof(T)));
}
template <class T, class... More> T *malloc_host(size_t n, const context &, const More &...) {
    return static_cast<T *>(detail::allocate(n * sizeof(T)));
}
template <class... More> void *malloc(size_t bytes, const queue &, usm::alloc, const More &...) { return detail::allocate(bytes); }
template <class T, class... More> T *malloc(size_t n, const queue &, usm::alloc, const More &...) {
    return static_cast<T *>(detail::allocate(n * sizeof(T)));
}
template <class... Where> void free(void *memory, const Where &...) { std::free(memory); }
template <class... Where> usm::alloc get_pointer_type(const void *, const Where &...) { return usm::alloc::shared; }

template <class T, usm::alloc Kind, size_t Align = 0> class usm_allocator {
public:
    using value_type = T;
    template <class U> struct rebind {
        using other = usm_allocator<U, Kind, Align>;
    };
    template <class... A> explicit usm_allocator(const queue &, const A &...) {}
    template <class... A> explicit usm_allocator(const context &, const A &...) {}
    template <class U> usm_allocator(const usm_allocator<U, Kind, Align> &) {}
    T *allocate(size_t n) { return static_cast<T *>(detail::allocate(n * sizeof(T))); }
    void deallocate(T *memory, size_t) { std::free(memory); }
    friend bool operator==(const usm_allocator &, const usm_allocator &) { return true; }
    friend bool operator!=(const usm_allocator &, const usm_allocator &) { return false; }
};

} // namespace sycl
