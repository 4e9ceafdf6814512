// Static trace points (USDT): SWIOMMU_TRACE(unmap, range.start, range.last) is one `nop` and a note in the binary, which
// perf, bpftrace, gdb and SystemTap find as swiommu:unmap. Up to four arguments, integers or pointers. Arguments may or may
// not be evaluated: no side effects, nothing expensive. Without <sys/sdt.h> it compiles to nothing.
#pragma once

#if defined(__has_include)
#if __has_include(<sys/sdt.h>) && !defined(SWIOMMU_NO_TRACE_POINTS)
#include <sys/sdt.h>
#define SWIOMMU_HAS_TRACE_POINTS 1
#endif
#endif

#ifdef SWIOMMU_HAS_TRACE_POINTS
#define SWIOMMU_TRACE_PICK(name, a, b, c, d, macro, ...) macro
#define SWIOMMU_TRACE(...)                                                                                    \
  SWIOMMU_TRACE_PICK(__VA_ARGS__, DTRACE_PROBE4, DTRACE_PROBE3, DTRACE_PROBE2, DTRACE_PROBE1, DTRACE_PROBE, ) \
  (swiommu, __VA_ARGS__)
#else
namespace swiommu::trace_point {
template <class... Arguments>
constexpr void ignore(Arguments const&...) {}
}  // namespace swiommu::trace_point
#define SWIOMMU_TRACE(name, ...)                            \
  do {                                                      \
    if (false) ::swiommu::trace_point::ignore(__VA_ARGS__); \
  } while (false)
#endif
