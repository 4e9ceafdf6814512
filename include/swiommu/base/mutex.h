// Mutexes that clang's thread-safety analysis understands (-Wthread-safety); plain mutexes for other compilers.
//
//   class Areas {
//     mutable Mutex mutex_;
//     IntervalMap<Area> areas_ SWIOMMU_GUARDED_BY(mutex_);
//     void split(Area& area) SWIOMMU_REQUIRES(mutex_);
//   };
//
// To sleep on a condition, hold a Lock and use std::condition_variable_any::wait(mutex_) in a loop: it takes a Mutex itself,
// and a loop, unlike a predicate in a lambda, stays within the analysis.
#pragma once
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define SWIOMMU_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define SWIOMMU_THREAD_ATTRIBUTE(x)
#endif

// Of data: read and written only under this mutex; of a pointer: what it points to.
#define SWIOMMU_GUARDED_BY(mutex) SWIOMMU_THREAD_ATTRIBUTE(guarded_by(mutex))
#define SWIOMMU_POINTEE_GUARDED_BY(mutex) SWIOMMU_THREAD_ATTRIBUTE(pt_guarded_by(mutex))
// Of mutexes: the lock order, outermost first (checked with -Wthread-safety-beta).
#define SWIOMMU_ACQUIRED_BEFORE(...) SWIOMMU_THREAD_ATTRIBUTE(acquired_before(__VA_ARGS__))
#define SWIOMMU_ACQUIRED_AFTER(...) SWIOMMU_THREAD_ATTRIBUTE(acquired_after(__VA_ARGS__))
// Of functions: the caller holds it, holds it at least shared, must not hold it.
#define SWIOMMU_REQUIRES(...) SWIOMMU_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define SWIOMMU_REQUIRES_SHARED(...) SWIOMMU_THREAD_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define SWIOMMU_EXCLUDES(...) SWIOMMU_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
// Of functions: it returns a reference to this mutex; it is correct for a reason that the analysis cannot see.
#define SWIOMMU_RETURNS_MUTEX(mutex) SWIOMMU_THREAD_ATTRIBUTE(lock_returned(mutex))
#define SWIOMMU_NO_THREAD_SAFETY_ANALYSIS SWIOMMU_THREAD_ATTRIBUTE(no_thread_safety_analysis)
// Of mutexes and scoped locks only.
#define SWIOMMU_ACQUIRE(...) SWIOMMU_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define SWIOMMU_ACQUIRE_SHARED(...) SWIOMMU_THREAD_ATTRIBUTE(acquire_shared_capability(__VA_ARGS__))
#define SWIOMMU_TRY_ACQUIRE(...) SWIOMMU_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define SWIOMMU_RELEASE(...) SWIOMMU_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define SWIOMMU_RELEASE_SHARED(...) SWIOMMU_THREAD_ATTRIBUTE(release_shared_capability(__VA_ARGS__))
#define SWIOMMU_RELEASE_ANY(...) SWIOMMU_THREAD_ATTRIBUTE(release_generic_capability(__VA_ARGS__))

namespace swiommu {

class SWIOMMU_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() SWIOMMU_ACQUIRE() { mutex_.lock(); }
  void unlock() SWIOMMU_RELEASE() { mutex_.unlock(); }
  [[nodiscard]] bool try_lock() SWIOMMU_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Many readers or one writer.
class SWIOMMU_THREAD_ATTRIBUTE(capability("shared_mutex")) SharedMutex {
 public:
  void lock() SWIOMMU_ACQUIRE() { mutex_.lock(); }
  void unlock() SWIOMMU_RELEASE() { mutex_.unlock(); }
  void lock_shared() SWIOMMU_ACQUIRE_SHARED() { mutex_.lock_shared(); }
  void unlock_shared() SWIOMMU_RELEASE_SHARED() { mutex_.unlock_shared(); }

 private:
  std::shared_mutex mutex_;
};

// Holds a mutex, alone, until the end of the scope: Lock lock(mutex_);
template <class M>
class SWIOMMU_THREAD_ATTRIBUTE(scoped_lockable) Lock {
 public:
  explicit Lock(M& mutex) SWIOMMU_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() SWIOMMU_RELEASE() { mutex_.unlock(); }
  Lock(Lock const&) = delete;
  Lock& operator=(Lock const&) = delete;

 private:
  M& mutex_;
};

// Holds a shared mutex together with other readers until the end of the scope.
class SWIOMMU_THREAD_ATTRIBUTE(scoped_lockable) SharedLock {
 public:
  explicit SharedLock(SharedMutex& mutex) SWIOMMU_ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex_.lock_shared(); }
  ~SharedLock() SWIOMMU_RELEASE_ANY() { mutex_.unlock_shared(); }
  SharedLock(SharedLock const&) = delete;
  SharedLock& operator=(SharedLock const&) = delete;

 private:
  SharedMutex& mutex_;
};

}  // namespace swiommu
