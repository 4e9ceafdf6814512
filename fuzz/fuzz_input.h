// Takes a fuzzer's bytes apart. What is taken after the end is zero.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <span>
#include <stdexcept>
#include <string>

namespace swiommu {

class FuzzInput {
 public:
  FuzzInput(std::uint8_t const* data, std::size_t size) : rest_(reinterpret_cast<std::byte const*>(data), size) {}

  template <class Number>
  Number take() {
    Number value{};
    auto const bytes = take_bytes(sizeof value);
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
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

// Something that must hold does not: nobody catches it under libFuzzer, which keeps the input then.
struct Broken : std::logic_error {
  explicit Broken(std::source_location const& at)
      : std::logic_error(std::string(at.file_name()) + ":" + std::to_string(at.line()) + " does not hold") {}
};
inline void require(bool holds, std::source_location const& at = std::source_location::current()) {
  if (!holds) throw Broken(at);
}

}  // namespace swiommu
