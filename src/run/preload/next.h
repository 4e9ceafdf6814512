// The function that a name would have meant without us: the C library's, or that of another preloaded library.
#pragma once
#include <atomic>

namespace swiommu::run {

struct NextFunction {
  char const* name;
  std::atomic<void*> address;
};

// Looks it up, once.
void* look_up(NextFunction& function);
// Looks all of them up, while that is safe: not in a signal's handler, not in a child of a program with threads.
void look_up_all();

}  // namespace swiommu::run

// A pointer to the next function `name`, which has the type of `function`.
#define SWIOMMU_NEXT(name, function)                                                                                    \
  ([]() -> decltype(&(function)) {                                                                                      \
    static constinit ::swiommu::run::NextFunction entry __attribute__((section("swiommu_next"), used)){#name, nullptr}; \
    void* address = entry.address.load(std::memory_order_relaxed);                                                      \
    if (address == nullptr) [[unlikely]]                                                                                \
      address = ::swiommu::run::look_up(entry);                                                                         \
    return reinterpret_cast<decltype(&(function))>(address);                                                            \
  }())
