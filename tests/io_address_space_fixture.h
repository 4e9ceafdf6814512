// Memory, domains and everything that may be seen of an I/O address space.
#pragma once
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "swiommu/domain/io_address_space.h"

namespace swiommu {

inline constexpr std::uint64_t page = 4096;

// Of a call that has to fail.
template <class T>
int code_of(Result<T> const& result) {
  return result ? 0 : result.error().code;
}

class IoAddressSpaceTest : public testing::Test {
 protected:
  static constexpr Attributes read_write{Access::both()}, read_only{Access::reading()};

  std::shared_ptr<Pages> memory(std::uint64_t pages) {
    return std::make_shared<Pages>(*SharedMemory::create(*host_memory_, pages * page), account_);
  }
  std::shared_ptr<PagingDomain> domain(FormatConfiguration const& format = {}, Limits limits = {}) {
    return *PagingDomain::create(host_, format, limits);
  }

  using Mapping = std::tuple<std::uint64_t, std::uint64_t, std::uint64_t>;  // start, last, output
  static std::vector<Mapping> leaves(PagingDomain const& domain) {
    std::vector<Mapping> found;
    for (auto const& half : {std::optional(domain.shape().lower), domain.shape().upper}) {
      if (!half) continue;
      domain.visit(*half,
                   [&](Leaf const& leaf) { return found.emplace_back(leaf.range.start, leaf.range.last, leaf.output), true; });
    }
    return found;
  }

  // Everything that a failing call must leave as it was.
  struct Seen {
    std::vector<std::tuple<std::uint64_t, std::uint64_t, Pages*, std::uint64_t>> areas;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    std::uint64_t alignment = 0, charged = 0;
    std::vector<std::uint64_t> pinned;
    std::vector<std::vector<Mapping>> domains;
    bool operator==(Seen const&) const = default;
  };
  Seen look(IoAddressSpace const& space, std::vector<std::shared_ptr<PagingDomain>> const& domains = {}) const {
    Seen seen;
    auto const areas = *space.areas(Range::all());
    for (Area const& area : areas) {
      seen.areas.emplace_back(area.iovas.start, area.iovas.last, area.pages.get(), area.offset);
      seen.pinned.push_back(area.pages->pinned());
    }
    auto const ranges = *space.iova_ranges();
    for (Range const range : ranges) seen.ranges.emplace_back(range.start, range.last);
    seen.alignment = *space.alignment();
    seen.charged = account_->charged();
    for (auto const& each : domains) seen.domains.push_back(leaves(*each));
    return seen;
  }

  std::shared_ptr<HostAddressSpace> host_memory_ = *HostAddressSpace::create(std::uint64_t{16} << 30);
  Host host_ = *Host::create(host_memory_);
  std::shared_ptr<Account> account_ = std::make_shared<Account>(1000);
  std::shared_ptr<IoAddressSpace> space_ = *IoAddressSpace::create();
};

}  // namespace swiommu
