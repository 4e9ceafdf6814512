// The nested domain: second level, a user page table that is read through the parent.
//
// Creating one reads nothing and pins nothing: it is what happens each time a guest changes its anchor. The user is
// hostile: it edits the table while it is walked, points it anywhere, sets any bit.
#pragma once
#include "swiommu/domain/domain.h"

namespace swiommu {

// The tables of one address space that a user wrote: one, or two that share it (Arm TTB0 and TTB1).
class UserTables {
 public:
  // Opens what is there, to be read through `memory`, which must outlive it. Reads nothing. EINVAL: the format has no such
  // configuration. ENOMEM.
  static Result<UserTables> open(std::optional<UserPageTable> const& table, std::optional<UserPageTable> const& upper,
                                 MemoryView const& memory);

  // The one that serves an iova; nullptr if none does.
  [[nodiscard]] PageTable const* serving(std::uint64_t iova) const;
  [[nodiscard]] bool keep_flags() const;
  bool visit(Range iovas, FunctionRef<bool(Leaf const&)> visit, std::uint64_t budget) const;

 private:
  std::unique_ptr<PageTable> table_;
  std::unique_ptr<PageTable> upper_;
};

class NestedDomain final : public Domain {
 public:
  // `table` names addresses that are inputs of `parent`. A second table may serve the upper half of the inputs (Arm TTB1); then
  // a missing `table` leaves the lower half without translation (EPD0).
  // The parent may be any domain: a paging domain, or another nested domain, as where hardware itself walks two tables that
  // lie in memory. EINVAL: the format has no such configuration. ENOMEM.
  static Result<std::shared_ptr<NestedDomain>> create(std::shared_ptr<Domain> parent, std::optional<UserPageTable> const& table,
                                                      std::optional<UserPageTable> const& upper = std::nullopt,
                                                      Limits limits = {});
  ~NestedDomain() override { leave_parent(); }
  DomainKind kind() const override { return DomainKind::nested; }
  [[nodiscard]] bool keeps_flags() const override { return tables_.keep_flags() || Domain::keeps_flags(); }
  [[nodiscard]] KeptBlock page_through(ParentReader& reader, std::uint64_t input, Access access) const override;

  // The table that serves an input. The user's own format: see PageTable.
  [[nodiscard]] PageTable const* table_for(std::uint64_t iova) const { return tables_.serving(iova); }

  // The leaves of the user page table(s) in the range, as far as the parent lets them be read.
  bool visit(Range iovas, FunctionRef<bool(Leaf const&)> visit, std::uint64_t budget = PageTable::no_limit) const;

 private:
  NestedDomain(Host const& host, std::shared_ptr<Domain> parent, Limits limits) : Domain(host, std::move(parent), limits) {}
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;

  UserTables tables_;
  PageTable const* short_way_ = nullptr;  // the table that serves all inputs, if its lowest tables can be kept
};

// Continues a walk that ended at a guest address through the parent; for nested, context and shadow domains.
Translation through_parent(Domain const& domain, Walk const& walk, Access access, Update update, ParentReader* reader = nullptr);
// Walks a user page table of `domain`, whose words lie in its parent, and continues so.
Translation walk_through_parent(Domain const& domain, PageTable const& table, std::uint64_t input, Access access, Update update,
                                ParentReader* reader);

}  // namespace swiommu
