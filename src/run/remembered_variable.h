// What the environment said of a variable when it was asked for first: programs may change or clear theirs.
#pragma once
#include <atomic>
#include <string_view>

namespace swiommu::run {

// To be constinit. Threads: any.
class RememberedVariable {
 public:
  constexpr explicit RememberedVariable(char const* name) : name_(name) {}

  // Empty if it is not set.
  [[nodiscard]] std::string_view value();

 private:
  char const* const name_;
  std::atomic<char const*> value_ = nullptr;  // never freed
};

}  // namespace swiommu::run
