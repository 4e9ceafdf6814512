// The paging domain: first level, a page table that we own. Guest addresses in, host addresses out.
#pragma once
#include "swiommu/base/address.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

class PagingDomain final : public Domain {
 public:
  // An empty domain. EINVAL: the format has no such configuration. ENOMEM.
  static Result<std::shared_ptr<PagingDomain>> create(Host const& host, FormatConfiguration const& format, Limits limits = {});
  DomainKind kind() const override { return DomainKind::paging; }
  [[nodiscard]] bool keeps_flags() const override { return shape().tracks_accessed || shape().tracks_dirty; }

  [[nodiscard]] TableShape const& shape() const { return table_->shape(); }

  // Calls on disjoint ranges may run at the same time; nobody may change overlapping ranges at the same time. The memory at
  // `output` belongs to the caller, who keeps it usable until unmap has returned (memory/pinned_pages.h). Errors are those of
  // PageTable::map, EDEADLK if the calling thread is inside a guard, and EINVAL for attributes without write permission if the
  // domain's limits are writable_only. On error nothing has changed.
  Result<void> map(Range guest, HostAddress output, Attributes attributes, unsigned largest_leaf_lg2 = PageTable::any_leaf);

  // Each address of the range turns from what it translated to, or from nothing, to the new output; when the call returns no
  // DMA uses the old one. Entries that the range covers in part are split. Errors are those of map.
  Result<void> replace(Range guest, HostAddress output, Attributes attributes);

  // When the call returns, no DMA uses the translation or touches the memory behind it. Returns the bytes that were mapped.
  // Children are invalidated as well.
  Result<std::uint64_t> unmap(Range guest, Cut cut = Cut::refuse);

  // Reports what was written since the flags were cleared last; with Clear::yes clears them. The report is complete, and all
  // writes in it are visible, when the call returns; later writes set the flags anew. Clearing is a change of the range, as
  // mapping is. EOPNOTSUPP, ERANGE, EDEADLK.
  Result<void> read_dirty(Range guest, Clear clear, FunctionRef<void(Range)> report);

  // The leaves in the range, in order, until `visit` returns false. Not beside unmap.
  bool visit(Range guest, FunctionRef<bool(Leaf const&)> visit) const { return table_->visit(guest, visit); }

  // The steps of a walk, for people. ENOMEM.
  Result<Walk> explain(std::uint64_t guest, Access access, std::vector<WalkStep>& steps) const {
    return table_->explain(guest, access, steps);
  }

  [[nodiscard]] Chunk locate(std::uint64_t guest, Access access) const override;
  [[nodiscard]] std::uint64_t end_of_run(std::uint64_t input, Translation const& first, std::uint64_t last) const override;

 private:
  PagingDomain(Host const& host, std::unique_ptr<PageTable> table, Limits limits)
      : Domain(host, nullptr, limits), table_(std::move(table)) {}
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;
  [[nodiscard]] Result<void> check_rights(Range guest, Attributes attributes) const;

  std::unique_ptr<PageTable> const table_;
};

}  // namespace swiommu
