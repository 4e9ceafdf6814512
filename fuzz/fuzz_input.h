// Takes a fuzzer's bytes apart. What is taken after the end is zero.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace swiommu {

class FuzzInput {
 public:
  FuzzInput(std::uint8_t const* data, std::size_t size) : rest_(reinterpret_cast<std::byte const*>(data), size) {}

  template <class Number>
  Number take() {
    Number value{};
    auto const bytes = take_bytes(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::uint64_t number() { return take<std::uint64_t>(); }
  unsigned below(unsigned limit) { return take<std::uint8_t>() % limit; }
  bool flag() { return below(2) == 1; }

  std::span<std::byte const> take_bytes(std::size_t length) {
    auto const taken = rest_.first(std::min(length, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  [[nodiscard]] std::span<std::byte const> rest() const { return rest_; }

 private:
  std::span<std::byte const> rest_;
};

// Stops the fuzzer: something does not hold.
inline void require(bool holds) {
  if (!holds) __builtin_trap();
}

}  // namespace swiommu
