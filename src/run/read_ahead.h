// The first bytes of an ioctl's structure. It is read twice, its size first: read at once, one copy does for both.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace swiommu::run {

class ReadAhead {
 public:
  static constexpr std::size_t most = 128;

  // Fill with bytes from `address` on, then say how many they are.
  [[nodiscard]] std::span<std::byte> room() { return bytes_; }
  void set(std::uint64_t address, std::size_t length) {
    address_ = address;
    length_ = length;
  }
  // Something was written, perhaps there.
  void drop() { length_ = 0; }

  // False: not all of it is here.
  [[nodiscard]] bool copy(std::uint64_t from, std::span<std::byte> to) const {
    std::uint64_t const before = from - address_;
    if (before > length_ || to.size() > length_ - before) return false;
    std::memcpy(to.data(), bytes_.data() + before, to.size());
    return true;
  }

 private:
  std::uint64_t address_ = 0;
  std::size_t length_ = 0;
  std::array<std::byte, most> bytes_;
};

}  // namespace swiommu::run
