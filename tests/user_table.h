// A user page table for tests: what a guest writes into its own memory, at guest addresses that its tables name.
#pragma once
#include <memory>

#include "shifted_memory.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

// Guest memory as the guest's processor sees it, from address 0 on.
inline ShiftedMemory guest_memory(MemoryView const& host, std::uint64_t start) { return {host, 0 - start}; }

// Uses the engine as the guest's driver would use its own code: on the memory itself, without the library's domains.
class UserTable final : UserTableSource {
 public:
  // Tables come from `tables` on. `memory`: what the guest's processor sees.
  UserTable(FormatConfiguration const& format, MemoryView const& memory, Range tables, bool big_endian = false)
      : tables_(tables), next_(tables.start) {
    table_ = PageTable::create_user({.format = format, .big_endian = big_endian}, memory, *this).value();
    description_ = {.format = format, .root = table_->root(), .big_endian = big_endian};
  }

  [[nodiscard]] UserPageTable const& description() const { return description_; }
  [[nodiscard]] PageTable& table() { return *table_; }

  Result<void> map(Range iovas, std::uint64_t guest, Access access = Access::both()) {
    Gather gather;
    auto mapped = table_->map(iovas, guest, {.access = access}, Existing::replace, Cut::split, gather);
    gather.finish();
    return mapped;
  }
  Result<std::uint64_t> unmap(Range iovas) {
    Gather gather;
    auto bytes = table_->unmap(iovas, Cut::split, gather);
    gather.finish();
    return bytes;
  }

 private:
  // Never gives the same table twice: nothing that reads an old one finds a new one there.
  Result<std::uint64_t> allocate(unsigned size_lg2) override {
    std::uint64_t const table = (next_ + low_bits(size_lg2)) & ~low_bits(size_lg2);
    if (table + low_bits(size_lg2) > tables_.last) return out_of_memory();
    next_ = table + bit(size_lg2);
    return table;
  }
  void release(std::uint64_t, unsigned) override {}

  Range tables_;
  std::uint64_t next_;
  UserPageTable description_;
  std::unique_ptr<PageTable> table_;
};

}  // namespace swiommu
