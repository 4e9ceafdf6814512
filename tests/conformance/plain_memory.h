// Memory for user page tables in tests: addresses from `base` on, handed out in blocks and counted.
#pragma once
#include <sys/mman.h>

#include <array>
#include <cstddef>
#include <vector>

#include "swiommu/memory/memory_view.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::conformance {

class PlainMemory final : public MemoryView, public UserTableSource {
 public:
  static constexpr std::uint64_t base = 0x4000'0000, size = std::uint64_t{2} << 30;

  PlainMemory()
      : data_(static_cast<std::byte*>(
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  ~PlainMemory() override { ::munmap(data_, size); }

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    if (address < base || address - base >= size) return {};
    if (access.write && read_only) return {};
    return {data_ + (address - base), size - (address - base)};
  }

  Result<std::uint64_t> allocate(unsigned size_lg2) override {
    if (successes_left == 0) return out_of_memory();
    return guarded([&]() -> Result<std::uint64_t> {
      Blocks& blocks = blocks_[size_lg2];
      std::uint64_t table = (next_ + bit(size_lg2) - 1) & ~low_bits(size_lg2);
      if (blocks.free.empty()) {
        if (blocks.made == blocks.free.capacity()) blocks.free.reserve(2 * blocks.made + 8);  // so that release needs no memory
        blocks.made++;
        next_ = table + bit(size_lg2);
      } else {
        table = blocks.free.back();
        blocks.free.pop_back();
      }
      if (successes_left != no_limit) successes_left--;
      tables_in_use++;
      return table;
    });
  }

  void release(std::uint64_t table, unsigned size_lg2) override {
    blocks_[size_lg2].free.push_back(table);
    tables_in_use--;
  }

  static constexpr std::uint64_t no_limit = ~std::uint64_t{0};
  std::uint64_t successes_left = no_limit;
  std::uint64_t tables_in_use = 0;
  bool read_only = false;

 private:
  std::byte* data_;
  std::uint64_t next_ = base;
  struct Blocks {
    std::vector<std::uint64_t> free;
    std::size_t made = 0;
  };
  std::array<Blocks, 32> blocks_;
};

}  // namespace swiommu::conformance
