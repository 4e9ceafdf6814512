// What an access needs, and what a mapping allows.
#pragma once
#include <bit>
#include <cstdint>

namespace swiommu {

// What an access needs, or what rights are left.
struct Access {
  bool read = false;
  bool write = false;

  static constexpr Access reading() { return {.read = true, .write = false}; }
  static constexpr Access writing() { return {.read = false, .write = true}; }
  static constexpr Access both() { return {.read = true, .write = true}; }

  // Do these rights suffice for `wanted`?
  [[nodiscard]] constexpr bool covers(Access wanted) const { return (wanted.both_at_once() & ~both_at_once()) == 0; }
  constexpr Access operator&(Access other) const {
    return std::bit_cast<Access>(static_cast<std::uint16_t>(both_at_once() & other.both_at_once()));
  }
  constexpr bool operator==(Access const&) const = default;

 private:
  // Walks combine rights at each level: one instruction for two.
  [[nodiscard]] constexpr std::uint16_t both_at_once() const { return std::bit_cast<std::uint16_t>(*this); }
};

}  // namespace swiommu
