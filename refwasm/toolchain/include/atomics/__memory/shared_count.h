// Reference counts of std::shared_ptr: atomic, also where the C++ library was built without threads.
#pragma GCC system_header
#include <__config>
#include <__memory/addressof.h>
#include <typeinfo>

#pragma push_macro("_LIBCPP_HAS_THREADS")
#undef _LIBCPP_HAS_THREADS
#define _LIBCPP_HAS_THREADS 1
#include_next <__memory/shared_count.h>
#pragma pop_macro("_LIBCPP_HAS_THREADS")
