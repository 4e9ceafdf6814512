// Sets bits in a bitmap that lies in the memory of a caller.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "swiommu/base/range.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::iommufd {

// Bit n (bit n % 8 of byte n / 8) stands for the page of 2^page_size_lg2 bytes at base + (n << page_size_lg2). The bitmap need
// not be aligned. Bits are only ever set; bytes without a new bit are not touched. What cannot be written is lost.
class DirtyBitmapWriter {
 public:
  DirtyBitmapWriter(Caller& caller, std::uint64_t bitmap, std::uint64_t base, unsigned page_size_lg2)
      : caller_(caller), bitmap_(bitmap), base_(base), page_size_lg2_(page_size_lg2) {}
  DirtyBitmapWriter(DirtyBitmapWriter const&) = delete;
  DirtyBitmapWriter& operator=(DirtyBitmapWriter const&) = delete;

  // The range begins at or after `base`. Ascending ranges are best.
  void set(Range dirty);
  // Writes what is not written yet.
  void flush();

 private:
  void set_in_window(std::uint64_t first, std::uint64_t last);

  Caller& caller_;
  std::uint64_t const bitmap_;
  std::uint64_t const base_;
  unsigned const page_size_lg2_;
  std::array<std::byte, 4096> window_{};  // new bits of the bytes from `start_` on
  std::uint64_t start_ = 0;
  std::size_t low_ = 0, high_ = 0;  // bytes of the window that have new bits: [low_, high_)
};

}  // namespace swiommu::iommufd
