// SYCL under its older name.
#pragma once
#include <sycl/sycl.hpp>
