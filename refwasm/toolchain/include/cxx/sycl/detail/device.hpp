// Errors, devices, platforms, contexts, selectors, properties, events.
#pragma once
#include <wasi_parallel.h>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace sycl {

// Older names.
using string_class = std::string;
template <class T> using vector_class = std::vector<T>;
template <class F> using function_class = std::function<F>;
using exception_ptr_class = std::exception_ptr;
template <class T> using shared_ptr_class = std::shared_ptr<T>;

enum class errc {
    success, runtime, kernel, accessor, nd_range, event, kernel_argument, build, invalid, memory_allocation, platform,
    profiling, feature_not_supported, kernel_not_supported, backend_mismatch
};

namespace detail {
class category final : public std::error_category {
public:
    const char *name() const noexcept override { return "sycl"; }
    std::string message(int code) const override { return "SYCL error " + std::to_string(code); }
};
} // namespace detail

inline const std::error_category &sycl_category() noexcept {
    static const detail::category category;
    return category;
}
inline std::error_code make_error_code(errc e) noexcept { return {static_cast<int>(e), sycl_category()}; }

class context;

class exception : public virtual std::exception {
    std::string text;
    std::error_code number;

public:
    exception(std::error_code code, const std::string &what) : text(what), number(code) {}
    exception(std::error_code code) : exception(code, code.message()) {}
    exception(const std::string &what = "SYCL error") : exception(make_error_code(errc::runtime), what) {}
    const std::error_code &code() const noexcept { return number; }
    const std::error_category &category() const noexcept { return number.category(); }
    const char *what() const noexcept override { return text.c_str(); }
    bool has_context() const noexcept { return false; }
};
using runtime_error = exception;
using invalid_parameter_error = exception;
using nd_range_error = exception;
using device_error = exception;
using feature_not_supported = exception;

// Errors are thrown where they happen: this list is never filled.
class exception_list {
    std::vector<std::exception_ptr> errors;

public:
    using value_type = std::exception_ptr;
    size_t size() const { return errors.size(); }
    auto begin() const { return errors.begin(); }
    auto end() const { return errors.end(); }
};
using async_handler = std::function<void(exception_list)>;

namespace property {
struct any {};
struct no_init : any {};
struct noinit : any {};
namespace queue {
struct in_order : any {};
struct enable_profiling : any {};
} // namespace queue
namespace buffer {
struct use_host_ptr : any {};
struct use_mutex : any {
    template <class M> use_mutex(M &) {}
};
struct context_bound : any {
    template <class C> context_bound(C) {}
};
} // namespace buffer
namespace image {
struct use_host_ptr : any {};
} // namespace image
namespace reduction {
struct initialize_to_identity : any {};
} // namespace reduction
} // namespace property
inline constexpr property::no_init no_init{};
inline constexpr property::noinit noinit{};

class property_list {
public:
    bool in_order = false, to_identity = false;
    template <class... P, class = std::enable_if_t<(std::is_base_of_v<property::any, P> && ...)>>
    property_list(P... properties) {
        (note(properties), ...);
    }

private:
    void note(property::queue::in_order) { in_order = true; }
    void note(property::reduction::initialize_to_identity) { to_identity = true; }
    template <class P> void note(P) {}
};

enum class aspect {
    cpu, gpu, accelerator, custom, emulated, host_debuggable, fp16, fp64, atomic64, image, online_compiler, online_linker,
    queue_profiling, usm_device_allocations, usm_host_allocations, usm_atomic_host_allocations, usm_shared_allocations,
    usm_atomic_shared_allocations, usm_system_allocations
};
enum class backend { opencl, host, wasi_parallel };

namespace info {
enum class device_type { cpu, gpu, accelerator, custom, automatic, host, all };
enum class local_mem_type { none, local, global };
enum class event_command_status { submitted, running, complete };
namespace device {
struct name { using return_type = std::string; static std::string value(bool gpu) { return gpu ? "wasi-parallel GPU" : "wasi-parallel CPU"; } };
struct vendor { using return_type = std::string; static std::string value(bool) { return "refwasm"; } };
struct version { using return_type = std::string; static std::string value(bool) { return "1.0"; } };
struct driver_version { using return_type = std::string; static std::string value(bool) { return "1.0"; } };
struct profile { using return_type = std::string; static std::string value(bool) { return "FULL_PROFILE"; } };
#define REFWASM_INFO(key, type, number) \
    struct key { using return_type = type; static type value(bool gpu) { (void)gpu; return number; } };
REFWASM_INFO(device_type, info::device_type, gpu ? info::device_type::gpu : info::device_type::cpu)
REFWASM_INFO(vendor_id, uint32_t, 0)
REFWASM_INFO(max_compute_units, uint32_t, 64)
REFWASM_INFO(max_work_group_size, size_t, 1024)
REFWASM_INFO(max_work_item_dimensions, uint32_t, 3)
REFWASM_INFO(max_num_sub_groups, uint32_t, 128)
REFWASM_INFO(max_clock_frequency, uint32_t, 1000)
REFWASM_INFO(global_mem_size, uint64_t, 1u << 30)
REFWASM_INFO(max_mem_alloc_size, uint64_t, 1u << 29)
REFWASM_INFO(local_mem_size, uint64_t, 1u << 20)
REFWASM_INFO(local_mem_type, info::local_mem_type, info::local_mem_type::global)
REFWASM_INFO(address_bits, uint32_t, 32)
REFWASM_INFO(is_available, bool, true)
REFWASM_INFO(is_host, bool, false)
REFWASM_INFO(usm_device_allocations, bool, true)
REFWASM_INFO(usm_shared_allocations, bool, true)
REFWASM_INFO(usm_host_allocations, bool, true)
#undef REFWASM_INFO
struct sub_group_sizes { using return_type = std::vector<size_t>; static return_type value(bool) { return {8}; } };
template <int D = 3> struct max_work_item_sizes {
    using return_type = id<D>;
    static return_type value(bool) {
        id<D> r;
        for (int d = 0; d < D; d++) r[d] = 1024;
        return r;
    }
};
} // namespace device
namespace platform {
struct name { using return_type = std::string; static std::string value() { return "wasi-parallel"; } };
struct vendor { using return_type = std::string; static std::string value() { return "refwasm"; } };
struct version { using return_type = std::string; static std::string value() { return "1.0"; } };
struct profile { using return_type = std::string; static std::string value() { return "FULL_PROFILE"; } };
} // namespace platform
namespace event {
struct command_execution_status {};
struct reference_count {};
} // namespace event
namespace event_profiling {
struct command_submit {};
struct command_start {};
struct command_end {};
} // namespace event_profiling
} // namespace info

class device;

class platform {
public:
    platform() = default;
    static std::vector<platform> get_platforms() { return {platform()}; }
    std::vector<device> get_devices(info::device_type = info::device_type::all) const;
    template <class I> typename I::return_type get_info() const { return I::value(); }
    bool has(aspect) const { return true; }
    bool is_host() const { return false; }
    backend get_backend() const { return backend::wasi_parallel; }
    friend bool operator==(const platform &, const platform &) { return true; }
    friend bool operator!=(const platform &, const platform &) { return false; }
};

// A device is a hint of wasi-parallel's: the host may run its kernels elsewhere.
class device {
    par_device_kind kind = PAR_CPU;

public:
    device() = default;
    explicit device(par_device_kind k) : kind(k) {}
    template <class Selector, class = std::enable_if_t<std::is_invocable_r_v<int, const Selector &, const device &>>>
    explicit device(const Selector &selector);
    par_device_kind get_hint() const { return kind; }
    bool is_cpu() const { return kind == PAR_CPU; }
    bool is_gpu() const { return kind == PAR_DISCRETE_GPU; }
    bool is_accelerator() const { return false; }
    bool is_host() const { return false; }
    platform get_platform() const { return {}; }
    backend get_backend() const { return backend::wasi_parallel; }
    bool has(aspect a) const {
        switch (a) {
            case aspect::cpu: return is_cpu();
            case aspect::gpu: return is_gpu();
            case aspect::fp64: case aspect::atomic64: case aspect::usm_device_allocations: case aspect::queue_profiling:
            case aspect::usm_host_allocations: case aspect::usm_shared_allocations: case aspect::usm_system_allocations:
            case aspect::usm_atomic_host_allocations: case aspect::usm_atomic_shared_allocations: return true;
            default: return false;
        }
    }
    bool has_extension(const std::string &) const { return false; }
    template <class I> typename I::return_type get_info() const { return I::value(is_gpu()); }
    static std::vector<device> get_devices(info::device_type type = info::device_type::all) {
        std::vector<device> found;
        if (type != info::device_type::gpu && type != info::device_type::accelerator) found.emplace_back(PAR_CPU);
        if (type == info::device_type::gpu || type == info::device_type::all) found.emplace_back(PAR_DISCRETE_GPU);
        return found;
    }
    friend bool operator==(const device &a, const device &b) { return a.kind == b.kind; }
    friend bool operator!=(const device &a, const device &b) { return a.kind != b.kind; }
};

inline std::vector<device> platform::get_devices(info::device_type type) const { return device::get_devices(type); }

inline int default_selector_v(const device &d) { return d.is_cpu() ? 2 : 1; }
inline int cpu_selector_v(const device &d) { return d.is_cpu() ? 1 : -1; }
inline int gpu_selector_v(const device &d) { return d.is_gpu() ? 1 : -1; }
inline int accelerator_selector_v(const device &) { return -1; }

class device_selector {
public:
    virtual ~device_selector() = default;
    virtual int operator()(const device &d) const = 0;
    device select_device() const;
};
#define REFWASM_SELECTOR(name)                                                        \
    class name : public device_selector {                                             \
    public:                                                                           \
        int operator()(const device &d) const override { return name##_v(d); }        \
    };
REFWASM_SELECTOR(default_selector)
REFWASM_SELECTOR(cpu_selector)
REFWASM_SELECTOR(gpu_selector)
REFWASM_SELECTOR(accelerator_selector)
#undef REFWASM_SELECTOR
class host_selector : public default_selector {};

namespace detail {
template <class Selector> device selected(const Selector &selector) {
    device best;
    int score = -1;
    for (const device &d : device::get_devices()) {
        int s = selector(d);
        if (s > score) best = d, score = s;
    }
    if (score < 0) throw exception(make_error_code(errc::runtime), "no device satisfies the selector");
    return best;
}
} // namespace detail

template <class Selector, class> device::device(const Selector &selector) : device(detail::selected(selector)) {}
inline device device_selector::select_device() const { return detail::selected(*this); }

template <class... Aspects> auto aspect_selector(Aspects... aspects) {
    return [=](const device &d) { return (d.has(aspects) && ...) ? 1 : -1; };
}

class context {
    device on;

public:
    context() = default;
    explicit context(const device &d) : on(d) {}
    explicit context(const std::vector<device> &devices) : on(devices.at(0)) {}
    std::vector<device> get_devices() const { return {on}; }
    platform get_platform() const { return {}; }
    backend get_backend() const { return backend::wasi_parallel; }
    friend bool operator==(const context &a, const context &b) { return a.on == b.on; }
};

// Everything is done when a command was submitted.
class event {
    uint64_t begun = 0, ended = 0;

public:
    event() = default;
    event(uint64_t begin, uint64_t end) : begun(begin), ended(end) {}
    void wait() const {}
    void wait_and_throw() const {}
    static void wait(const std::vector<event> &) {}
    static void wait_and_throw(const std::vector<event> &) {}
    std::vector<event> get_wait_list() const { return {}; }
    template <class I> info::event_command_status get_info() const { return info::event_command_status::complete; }
    template <class I> uint64_t get_profiling_info() const {
        return std::is_same_v<I, info::event_profiling::command_end> ? ended : begun;
    }
};

} // namespace sycl

namespace std {
template <> struct is_error_code_enum<sycl::errc> : true_type {};
} // namespace std
