// Host memory for tests: one piece of zeros, at host addresses that are not pointers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "swiommu/base/address.h"
#include "swiommu/base/range.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

class FlatMemory final : public MemoryView {
 public:
  static constexpr std::uint64_t page = 4096;

  // `pages` of memory from host address `start` on, a multiple of 4 KiB.
  explicit FlatMemory(std::uint64_t pages, std::uint64_t start = std::uint64_t{1} << 32)
      : range_{start, start + pages * page - 1},
        bytes_(static_cast<std::byte*>(::operator new(pages* page, std::align_val_t{page})), Free{}) {
    std::memset(bytes_.get(), 0, pages * page);
  }

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] HostAddress address(std::uint64_t n) const { return HostAddress(range_.start + n * page); }  // of page n
  [[nodiscard]] std::byte* data(std::uint64_t n) const { return bytes_.get() + n * page; }

  // Pages that may be read only.
  void protect(Range range) { read_only_ = range; }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    if (!range_.contains(address)) return {};
    std::uint64_t last = range_.last;
    if (access.write && read_only_.last >= read_only_.start) {
      if (read_only_.contains(address)) return {};
      if (address < read_only_.start) last = std::min(last, read_only_.start - 1);
    }
    return {bytes_.get() + (address - range_.start), last - address + 1};
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, std::align_val_t{page}); }
  };
  Range range_;
  Range read_only_{1, 0};
  std::unique_ptr<std::byte, Free> bytes_;
};

}  // namespace swiommu
