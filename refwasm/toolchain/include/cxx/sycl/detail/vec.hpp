// Vectors, arrays of numbers, and functions of numbers.
#pragma once
#include <sycl/detail/operators.hpp>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <type_traits>

namespace sycl {

struct elem {
    enum { x, y, z, w, r = 0, g, b, a, s0 = 0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sA, sB, sC, sD, sE, sF };
};

namespace detail {

// A parameter of this type is not looked at to find out T.
template <class T> struct not_deduced {
    using type = T;
};
template <class T> using same = typename not_deduced<T>::type;

// Some numbers with the operators of each number; `Own<Bool>` is what comparisons give.
template <class Own, class T, int N> class lanes {
protected:
    T value[N] = {};

public:
    using value_type = T;
    using element_type = T;
    static constexpr size_t size() { return N; }
    static constexpr size_t get_count() { return N; }
    static constexpr size_t byte_size() { return N * sizeof(T); }
    T &operator[](size_t i) { return value[i]; }
    const T &operator[](size_t i) const { return value[i]; }
    T *begin() { return value; }
    T *end() { return value + N; }
    const T *begin() const { return value; }
    const T *end() const { return value + N; }

#define REFWASM_OPERATOR(op)                                            \
    friend Own operator op(const Own &a, const Own &b) {                \
        Own r;                                                          \
        for (int i = 0; i < N; i++) r[i] = T(a[i] op b[i]);             \
        return r;                                                       \
    }                                                                   \
    friend Own operator op(const Own &a, const T &b) {                  \
        Own r;                                                          \
        for (int i = 0; i < N; i++) r[i] = T(a[i] op b);                \
        return r;                                                       \
    }                                                                   \
    friend Own operator op(const T &a, const Own &b) {                  \
        Own r;                                                          \
        for (int i = 0; i < N; i++) r[i] = T(a op b[i]);                \
        return r;                                                       \
    }                                                                   \
    friend Own &operator op##=(Own &a, const Own &b) { return a = a op b; } \
    friend Own &operator op##=(Own &a, const T &b) { return a = a op b; }
    REFWASM_OPERATORS(REFWASM_OPERATOR)
#undef REFWASM_OPERATOR
    friend Own operator-(const Own &a) {
        Own r;
        for (int i = 0; i < N; i++) r[i] = -a[i];
        return r;
    }
    friend Own operator+(const Own &a) { return a; }
};

} // namespace detail

template <class T, int N> class vec : public detail::lanes<vec<T, N>, T, N> {
    template <class A> void put(int &at, const A &a) {
        if constexpr (std::is_convertible_v<A, T>) this->value[at++] = static_cast<T>(a);
        else
            for (size_t i = 0; i < a.size(); i++) this->value[at++] = static_cast<T>(a[i]);
    }

public:
    vec() = default;
    vec(const T &all) {
        for (T &v : this->value) v = all;
    }
    template <class A, class B, class... More> vec(const A &a, const B &b, const More &...more) {
        int at = 0;
        put(at, a), put(at, b), (put(at, more), ...);
    }
    vec &operator=(const T &all) { return *this = vec(all); }
    template <int M = N, class = std::enable_if_t<M == 1>> operator T() const { return this->value[0]; }
    template <class U> vec<U, N> convert() const {
        vec<U, N> r;
        for (int i = 0; i < N; i++) r[i] = static_cast<U>(this->value[i]);
        return r;
    }
    template <class V> V as() const {
        static_assert(sizeof(V) == sizeof(vec), "as<> keeps the size");
        return __builtin_bit_cast(V, *this);
    }
    template <int... I> vec<T, sizeof...(I)> swizzle() const { return {this->value[I]...}; }
    template <class P> void load(size_t at, P from) {
        for (int i = 0; i < N; i++) this->value[i] = from[at * N + i];
    }
    template <class P> void store(size_t at, P to) const {
        for (int i = 0; i < N; i++) to[at * N + i] = this->value[i];
    }
#define REFWASM_ELEMENT(name, i)             \
    T &name() { return this->value[i]; }     \
    const T &name() const { return this->value[i]; }
    REFWASM_ELEMENT(x, 0)
    REFWASM_ELEMENT(y, 1)
    REFWASM_ELEMENT(z, 2)
    REFWASM_ELEMENT(w, 3)
    REFWASM_ELEMENT(r, 0)
    REFWASM_ELEMENT(g, 1)
    REFWASM_ELEMENT(b, 2)
    REFWASM_ELEMENT(a, 3)
    REFWASM_ELEMENT(s0, 0)
    REFWASM_ELEMENT(s1, 1)
    REFWASM_ELEMENT(s2, 2)
    REFWASM_ELEMENT(s3, 3)
    REFWASM_ELEMENT(s4, 4)
    REFWASM_ELEMENT(s5, 5)
    REFWASM_ELEMENT(s6, 6)
    REFWASM_ELEMENT(s7, 7)
#undef REFWASM_ELEMENT
#define REFWASM_SWIZZLE(name, ...) \
    vec<T, sizeof(#name) - 1> name() const { return swizzle<__VA_ARGS__>(); }
    REFWASM_SWIZZLE(xy, 0, 1)
    REFWASM_SWIZZLE(yx, 1, 0)
    REFWASM_SWIZZLE(xz, 0, 2)
    REFWASM_SWIZZLE(yz, 1, 2)
    REFWASM_SWIZZLE(zw, 2, 3)
    REFWASM_SWIZZLE(xyz, 0, 1, 2)
    REFWASM_SWIZZLE(zyx, 2, 1, 0)
    REFWASM_SWIZZLE(yzw, 1, 2, 3)
    REFWASM_SWIZZLE(xyzw, 0, 1, 2, 3)
    REFWASM_SWIZZLE(wzyx, 3, 2, 1, 0)
    REFWASM_SWIZZLE(rgb, 0, 1, 2)
    REFWASM_SWIZZLE(rgba, 0, 1, 2, 3)
#undef REFWASM_SWIZZLE
    vec<T, N / 2> lo() const {
        vec<T, N / 2> h;
        for (int i = 0; i < N / 2; i++) h[i] = this->value[i];
        return h;
    }
    vec<T, N / 2> hi() const {
        vec<T, N / 2> h;
        for (int i = 0; i < N / 2; i++) h[i] = this->value[N / 2 + i];
        return h;
    }
};

template <class T, size_t N> class marray : public detail::lanes<marray<T, N>, T, static_cast<int>(N)> {
public:
    marray() = default;
    explicit marray(const T &all) {
        for (T &v : this->value) v = all;
    }
    template <class... A, class = std::enable_if_t<(sizeof...(A) > 1) && sizeof...(A) == N>> marray(const A &...a) {
        size_t at = 0;
        ((this->value[at++] = static_cast<T>(a)), ...);
    }
    friend bool operator==(const marray &a, const marray &b) {
        for (size_t i = 0; i < N; i++)
            if (a[i] != b[i]) return false;
        return true;
    }
};

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using ulong = unsigned long;
using longlong = long long;
using ulonglong = unsigned long long;
#define REFWASM_VECTORS(type, name)                                                                         \
    using name##2 = vec<type, 2>;                                                                           \
    using name##3 = vec<type, 3>;                                                                           \
    using name##4 = vec<type, 4>;                                                                           \
    using name##8 = vec<type, 8>;                                                                           \
    using name##16 = vec<type, 16>;
REFWASM_VECTORS(int8_t, char)
REFWASM_VECTORS(uint8_t, uchar)
REFWASM_VECTORS(int16_t, short)
REFWASM_VECTORS(uint16_t, ushort)
REFWASM_VECTORS(int32_t, int)
REFWASM_VECTORS(uint32_t, uint)
REFWASM_VECTORS(int64_t, long)
REFWASM_VECTORS(uint64_t, ulong)
REFWASM_VECTORS(float, float)
REFWASM_VECTORS(double, double)
#undef REFWASM_VECTORS
using mfloat2 = marray<float, 2>;
using mfloat3 = marray<float, 3>;
using mfloat4 = marray<float, 4>;
using mdouble4 = marray<double, 4>;
using mint4 = marray<int32_t, 4>;

using std::acos, std::acosh, std::asin, std::asinh, std::atan, std::atan2, std::atanh, std::cbrt, std::ceil, std::copysign,
    std::cos, std::cosh, std::erf, std::erfc, std::exp, std::exp2, std::expm1, std::fabs, std::fdim, std::floor, std::fma,
    std::fmax, std::fmin, std::fmod, std::hypot, std::ilogb, std::isfinite, std::isinf, std::isnan, std::ldexp, std::lgamma,
    std::log, std::log10, std::log1p, std::log2, std::logb, std::pow, std::remainder, std::rint, std::round, std::signbit,
    std::sin, std::sinh, std::sqrt, std::tan, std::tanh, std::tgamma, std::trunc;

template <class T> constexpr T abs(T x) { return x < T(0) ? T(-x) : x; }
template <class T> constexpr T min(T a, detail::same<T> b) { return b < a ? b : a; }
template <class T> constexpr T max(T a, detail::same<T> b) { return a < b ? b : a; }
template <class T> constexpr T clamp(T x, detail::same<T> low, detail::same<T> high) {
    return min(max(x, low), high);
}
template <class T> T mad(T a, T b, T c) { return a * b + c; }
template <class T> T mix(T a, T b, T t) { return a + (b - a) * t; }
template <class T> T rsqrt(T x) { return T(1) / std::sqrt(x); }
template <class T> T degrees(T x) { return x * T(57.29577951308232); }
template <class T> T radians(T x) { return x * T(0.017453292519943295); }
template <class T> T sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x; }
template <class T> T step(T edge, T x) { return x < edge ? T(0) : T(1); }
inline float pown(float x, int n) { return std::pow(x, static_cast<float>(n)); }
inline double pown(double x, int n) { return std::pow(x, static_cast<double>(n)); }
template <class T> int popcount(T x) { return __builtin_popcountll(static_cast<std::make_unsigned_t<T>>(x)); }
template <class T> T clz(T x) {
    constexpr int bits = sizeof(T) * 8;
    using U = std::make_unsigned_t<T>;
    return x ? T(__builtin_clzll(static_cast<U>(x)) - (64 - bits)) : T(bits);
}
template <class T> T select(T a, T b, bool c) { return c ? b : a; }

#define REFWASM_EACH(name)                                                             \
    template <class T, int N> vec<T, N> name(const vec<T, N> &x) {                     \
        vec<T, N> r;                                                                   \
        for (int i = 0; i < N; i++) r[i] = sycl::name(x[i]);                           \
        return r;                                                                      \
    }                                                                                  \
    template <class T, size_t N> marray<T, N> name(const marray<T, N> &x) {            \
        marray<T, N> r;                                                                \
        for (size_t i = 0; i < N; i++) r[i] = sycl::name(x[i]);                        \
        return r;                                                                      \
    }
REFWASM_EACH(sin)
REFWASM_EACH(cos)
REFWASM_EACH(tan)
REFWASM_EACH(exp)
REFWASM_EACH(log)
REFWASM_EACH(sqrt)
REFWASM_EACH(rsqrt)
REFWASM_EACH(fabs)
REFWASM_EACH(floor)
REFWASM_EACH(ceil)
#undef REFWASM_EACH
template <class T, int N> T dot(const vec<T, N> &a, const vec<T, N> &b) {
    T r{};
    for (int i = 0; i < N; i++) r += a[i] * b[i];
    return r;
}
template <class T, int N> T length(const vec<T, N> &a) { return std::sqrt(dot(a, a)); }
template <class T, int N> T distance(const vec<T, N> &a, const vec<T, N> &b) { return length(a - b); }
template <class T, int N> vec<T, N> normalize(const vec<T, N> &a) { return a / length(a); }
template <class T> vec<T, 3> cross(const vec<T, 3> &a, const vec<T, 3> &b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}
namespace native = ::sycl;

} // namespace sycl
