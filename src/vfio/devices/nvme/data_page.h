// A data structure of 4096 bytes that a command gives the host, filled in by offsets as the specification's figures list them.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace swiommu::vfio::nvme {

class DataPage {
 public:
  static constexpr std::size_t bytes = 4096;

  template <class T>
  void put(std::size_t offset, T value) {
    std::memcpy(&bytes_[offset], &value, sizeof value);
  }
  // ASCII, padded with blanks (1.5).
  void put_text(std::size_t offset, std::size_t length, std::string_view text) {
    std::memset(&bytes_[offset], ' ', length);
    std::memcpy(&bytes_[offset], text.data(), std::min(length, text.size()));
  }
  // ASCII, ended by zeros.
  void put_string(std::size_t offset, std::size_t length, std::string_view text) {
    std::memcpy(&bytes_[offset], text.data(), std::min(length - 1, text.size()));
  }
  [[nodiscard]] std::span<std::byte const> span() const { return bytes_; }

 private:
  std::array<std::byte, bytes> bytes_{};
};

}  // namespace swiommu::vfio::nvme
