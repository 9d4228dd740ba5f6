// std::execution::par: the two functions that libc++'s parallel algorithms need of their back end (libdispatch's), on
// wasi-parallel.
#include "region.h"

namespace std {
inline namespace __1 {
namespace __pstl {
namespace __libdispatch {

struct __chunk_partitions {
    ptrdiff_t __chunk_count_, __chunk_size_, __first_chunk_size_; // the count includes the first chunk
};

// Chunks of one algorithm: as many as workers at most (region.c).
constexpr ptrdiff_t most_chunks = 64;

__chunk_partitions __partition_chunks(ptrdiff_t size) noexcept {
    ptrdiff_t count = size < 1 ? 0 : size < most_chunks ? size : most_chunks;
    ptrdiff_t each = count ? size / count : 0;
    return {count, each, size - (count ? count - 1 : 0) * each};
}

void __dispatch_apply(size_t count, void *context, void (*function)(void *, size_t)) noexcept {
    if (count) __refwasm_parallel_for(reinterpret_cast<body *>(function), context, static_cast<uint32_t>(count), 1);
}

} // namespace __libdispatch
} // namespace __pstl
} // namespace __1
} // namespace std
