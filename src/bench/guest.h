// A guest with an I/O page table of its own, as nested and shadow domains meet it.
#pragma once
#include <memory>
#include <vector>

#include "bench/host_memory.h"
#include "bench/measured_format.h"
#include "bench/suites.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::bench {

// Which table on top of which.
struct Nesting {
  NamedFormat user, parent;
  [[nodiscard]] std::string name() const { return user.name + " over " + parent.name; }
  bool close = false;  // one that is measured more closely than the others
};
// Those that hardware has, with one of the formats of the scope on either side; only one if it is to be quick. The first is
// close.
std::vector<Nesting> nestings(Scope const& scope);
// zPCI, whose hardware walks one table only, so that shadows are made of the user's.
Nesting shadowed();

class Guest : UserTableSource {
 public:
  // Memory for `pages` user pages and their tables, in the parent from `guest_start` on, with leaves of 2^parent_leaf_lg2 bytes.
  // The user page table maps all pages, in a row.
  Guest(Nesting const& nesting, std::uint64_t pages, unsigned parent_leaf_lg2 = 12);

  [[nodiscard]] UserPageTable const& description() const { return description_; }
  [[nodiscard]] Host const& host() const { return memory_->host; }
  [[nodiscard]] std::shared_ptr<PagingDomain> const& parent() const { return parent_; }
  [[nodiscard]] MeasuredFormat const& user() const { return user_; }
  [[nodiscard]] PageTable& table() { return *table_; }
  [[nodiscard]] SharedMemory const& ram() const { return *memory_->ram; }
  [[nodiscard]] std::uint64_t iova(std::uint64_t page) const { return user_.first + (page << user_.page_lg2()); }
  // The pages in a row again, from page `first` of the guest's memory on.
  void map_from(std::uint64_t first);
  // Lets the same 4096 pages appear at the 2^24 pages of iovas from the first on, by pointing entries at the same tables: DMA
  // finds the tables in the processor's caches, but no two addresses have the same translation. For tables of 512 words, and a
  // guest of 4096 pages.
  void repeat_tables();
  static constexpr std::uint64_t repeated_pages = 4096;

 private:
  Result<std::uint64_t> allocate(unsigned size_lg2) override;
  void release(std::uint64_t, unsigned) override {}

  MeasuredFormat const user_, parent_format_;
  std::uint64_t const pages_;
  std::uint64_t const bytes_;
  std::uint64_t next_;
  std::unique_ptr<HostMemory> memory_;
  std::shared_ptr<PagingDomain> parent_;
  UserPageTable description_;
  std::unique_ptr<PageTable> table_;
};

}  // namespace swiommu::bench
