// Included before each source of the C++ library: its reference counts are atomic, though it has no threads.
#include <__config>
#include <cstddef>
#include <cstring>
#include <typeinfo>

#pragma push_macro("_LIBCPP_HAS_THREADS")
#undef _LIBCPP_HAS_THREADS
#define _LIBCPP_HAS_THREADS 1
#include "include/atomic_support.h"
#pragma pop_macro("_LIBCPP_HAS_THREADS")
