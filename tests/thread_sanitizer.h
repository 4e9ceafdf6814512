// Whether this is a build for TSan, and what it must be told.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define SWIOMMU_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SWIOMMU_UNDER_TSAN 1
#endif
#endif

#ifdef SWIOMMU_UNDER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace swiommu {

#ifdef SWIOMMU_UNDER_TSAN
inline constexpr bool under_tsan = true;
// What other threads did before their atomic operation on `place` is seen by this thread from here on.
inline void now_sees(void* place) { __tsan_acquire(place); }
#else
inline constexpr bool under_tsan = false;
inline void now_sees(void*) {}
#endif

}  // namespace swiommu
