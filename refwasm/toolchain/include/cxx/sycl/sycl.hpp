// SYCL 2020 on wasi-parallel: one header, one source. Commands run when they are submitted, one after the other, so all
// events are complete at once; that is one of the orders that SYCL allows. Kernels work in the program's own memory:
// buffers and USM are that memory. A range is a loop of wasi-parallel; of an nd_range, each work-group is one iteration,
// and its work-items take turns from barrier to barrier. Selectors are hints for the device (wasi_parallel_use).
#pragma once
#pragma GCC system_header

// Programs rely on these without including them.
#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <fstream>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#define SYCL_LANGUAGE_VERSION 202001
#define CL_SYCL_LANGUAGE_VERSION 202001
#define SYCL_EXTERNAL

#include <sycl/detail/index.hpp>
#include <sycl/detail/device.hpp>
#include <sycl/detail/buffer.hpp>
#include <sycl/detail/group.hpp>
#include <sycl/detail/atomic.hpp>
#include <sycl/detail/vec.hpp>
#include <sycl/detail/reduction.hpp>
#include <sycl/detail/queue.hpp>
#include <sycl/detail/usm.hpp>

// The older name of the namespace.
namespace cl {
namespace sycl = ::sycl;
}
