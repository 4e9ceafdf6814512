// A guest on a host: memory, the paging domain that maps it, and a map of what that domain was told.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>

#include "nesting/formats.h"
#include "nesting/host_memory.h"
#include "nesting/random.h"
#include "nesting/table_pool.h"
#include "nesting/user_model.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::nesting {

enum class Layout { one_to_one, scattered };

// What an access through a value of the user page table leads to.
struct Outcome {
  Reason reason = Reason::none;  // for the access that was asked about
  std::uint64_t host = 0;
  Access rights;
  [[nodiscard]] bool ok() const { return reason == Reason::none; }
};

class Guest {
 public:
  static constexpr Range tables{0x200000, 0x9fffff};  // guest addresses of the user page table
  static constexpr Range data{0x1000000, 0x13fffff};  // guest addresses that iovas may lead to
  static constexpr std::uint64_t host_base = 0x140000000;
  static constexpr std::uint64_t host_tables = host_base;            // twice, so that they can move
  static constexpr std::uint64_t host_data = host_base + 0x1000000;  // and spare pages for as much again
  static constexpr std::uint64_t host_length = 0x1000000 + 2 * 0x400000;

  Guest(FormatCase const& parent_format, Layout layout, Random& random) : random_(random), format_(parent_format) {
    parent = *PagingDomain::create(host, parent_format.format);
    granule_ = bit(parent->shape().smallest_page_lg2());
    EXPECT_TRUE(parent->map(tables, HostAddress(host_tables), {.access = Access::both()}));
    for (std::uint64_t page = host_data; page < host_base + host_length; page += granule_) host_pages_.push_back(page);
    if (layout == Layout::scattered) std::ranges::shuffle(host_pages_, random_);
    if (layout == Layout::one_to_one)
      map(data, host_data, Access::both());
    else
      for (std::uint64_t at = data.start, n = 0; at < data.last; at += granule_)
        map({at, at + granule_ - 1}, host_pages_[n++], Access::both());
    // Each word of the lower half of a 4 KiB page says where it is; the upper half is for DMA to write to.
    for (std::uint64_t page = host_data; page < host_base + host_length; page += unit_size)
      for (std::uint64_t offset = 0; offset < unit_size / 2; offset += 8) memory->word(page + offset) = page + offset;
  }

  // The effect of a value of the user page table, under the parent as it is now.
  [[nodiscard]] Outcome outcome(UserValue const& value, Access access) const {
    if (!value.present) return {Reason::not_mapped};
    if (!value.rights.covers(access)) return {Reason::permission};
    auto const at = parent_.find(value.guest);
    if (at == parent_.end()) return {Reason::output_unreachable};
    if (!at->second.rights.covers(access)) return {Reason::permission};
    return {Reason::none, at->second.host, value.rights & at->second.rights};
  }

  // One change of what the parent says of guest data. Takes effect at once. Returns where.
  Range change_parent() {
    std::uint64_t const pages = data.length() / granule_;
    std::uint64_t const first = below(random_, pages),
                        count = 1 + below(random_, std::min<std::uint64_t>(pages - first, 1 << below(random_, 8)));
    Range const range{data.start + first * granule_, data.start + (first + count) * granule_ - 1};
    switch (below(random_, 5)) {
      case 0: {
        EXPECT_TRUE(parent->unmap(range, Cut::split));
        for (std::uint64_t at = range.start; at < range.last; at += unit_size) parent_.erase(at);
        break;
      }
      case 1:  // puts one page somewhere else
        replace({range.start, range.start + granule_ - 1}, any_of(random_, host_pages_), any_rights());
        break;
      case 2:  // the same place, other rights
        if (auto const there = parent_.find(range.start); there != parent_.end())
          replace({range.start, range.start + granule_ - 1}, there->second.host, any_rights());
        break;
      case 3: replace(range, host_data + (range.start - data.start), Access::both()); break;
      default:  // maps what is missing
        for (std::uint64_t at = range.start; at < range.last; at += granule_)
          if (!parent_.contains(at)) map({at, at + granule_ - 1}, host_data + (at - data.start), Access::both());
    }
    return range;
  }

  // The guest's tables move to other host memory.
  void move_tables() {
    std::uint64_t const other = host_tables + host_tables + tables.length() - host_tables_now_;
    for (std::uint64_t at = 0; at < tables.length(); at += 8) memory->word(other + at) = memory->word(host_tables_now_ + at);
    ASSERT_TRUE(parent->replace(tables, HostAddress(other), {.access = Access::both()}));
    for (std::uint64_t at = 0; at < tables.length(); at += 8) memory->word(host_tables_now_ + at) = ~std::uint64_t{0};
    host_tables_now_ = other;
  }
  void hide_tables() { ASSERT_TRUE(parent->unmap(tables)); }
  void show_tables() { ASSERT_TRUE(parent->map(tables, HostAddress(host_tables_now_), {.access = Access::both()})); }

  std::shared_ptr<HostMemory> const memory = std::make_shared<HostMemory>(host_base, host_length);
  Host const host = *Host::create(memory);
  std::shared_ptr<PagingDomain> parent;

 private:
  struct Page {
    std::uint64_t host;
    Access rights;
  };

  Access any_rights() { return format_.rights({!one_in(random_, 4), !one_in(random_, 3)}); }

  void map(Range range, std::uint64_t to, Access rights) {
    ASSERT_TRUE(parent->map(range, HostAddress(to), {.access = rights}));
    note(range, to, rights);
  }
  void replace(Range range, std::uint64_t to, Access rights) {
    if (rights == Access{}) rights = Access::reading();
    ASSERT_TRUE(parent->replace(range, HostAddress(to), {.access = rights}));
    note(range, to, rights);
  }
  void note(Range range, std::uint64_t to, Access rights) {
    for (std::uint64_t at = range.start; at < range.last; at += unit_size) parent_[at] = {to + (at - range.start), rights};
  }

  Random& random_;
  FormatCase format_;
  std::uint64_t granule_ = 0;
  std::vector<std::uint64_t> host_pages_;
  std::map<std::uint64_t, Page> parent_;  // by guest address
  std::uint64_t host_tables_now_ = host_tables;
};

}  // namespace swiommu::nesting
