// Memory for tests, seen through a parent that adds a constant.
#pragma once
#include <cstdint>

#include "swiommu/memory/memory_view.h"

namespace swiommu {

// A view in which the memory below starts at `base`; below that there is what lies at the end of the address space.
class ShiftedMemory : public MemoryView {
 public:
  ShiftedMemory(MemoryView const& below, std::uint64_t base) : below_(below), base_(base) {}
  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    return below_.locate(address - base_, access);
  }

 private:
  MemoryView const& below_;
  std::uint64_t base_;
};

}  // namespace swiommu
