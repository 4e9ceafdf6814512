// What an access needs, and what a mapping allows.
#pragma once

namespace swiommu {

// What an access needs, or what rights are left.
struct Access {
  bool read = false;
  bool write = false;

  static constexpr Access reading() { return {.read = true, .write = false}; }
  static constexpr Access writing() { return {.read = false, .write = true}; }
  static constexpr Access both() { return {.read = true, .write = true}; }

  // Do these rights suffice for `wanted`?
  [[nodiscard]] constexpr bool covers(Access wanted) const { return (read || !wanted.read) && (write || !wanted.write); }
  constexpr Access operator&(Access other) const { return {.read = read && other.read, .write = write && other.write}; }
  constexpr bool operator==(Access const&) const = default;
};

}  // namespace swiommu
