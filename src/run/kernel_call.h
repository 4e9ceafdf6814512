// System calls without the C library: never interposed, no cancellation points, no errno.
#pragma once
#include <sys/syscall.h>

#include <bit>
#include <type_traits>

namespace swiommu::run {

template <class T>
long kernel_argument(T value) {
  if constexpr (std::is_null_pointer_v<T>)
    return 0;
  else if constexpr (std::is_pointer_v<T>)
    return std::bit_cast<long>(value);
  else
    return static_cast<long>(value);
}

// What the kernel answers: a value, or -errno.
inline long kernel_call_6(long number, long a, long b, long c, long d, long e, long f) {
#if defined(__x86_64__)
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 asm("x8") = number;
  register long x0 asm("x0") = a;
  register long x1 asm("x1") = b;
  register long x2 asm("x2") = c;
  register long x3 asm("x3") = d;
  register long x4 asm("x4") = e;
  register long x5 asm("x5") = f;
  asm volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
#else
#error "no system calls for this machine"
#endif
}

template <class A = long, class B = long, class C = long, class D = long, class E = long, class F = long>
long kernel_call(long number, A a = 0, B b = 0, C c = 0, D d = 0, E e = 0, F f = 0) {
  return kernel_call_6(number, kernel_argument(a), kernel_argument(b), kernel_argument(c), kernel_argument(d), kernel_argument(e),
                       kernel_argument(f));
}

}  // namespace swiommu::run
