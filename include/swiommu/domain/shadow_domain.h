// The shadow domain: second level for hardware that walks one table only.
//
// A table of our own holds the composition of the user page table and the parent: iovas in, host addresses out. It is
// brought up to date when the user invalidates (zPCI: RPCIT), and by itself when the parent changes. Unlike the nested domain it
// remembers "not mapped": a user must invalidate after making an entry present as well, and the emulated hardware must
// announce that.
#pragma once
#include "swiommu/domain/nested_domain.h"

namespace swiommu {

class ShadowDomain final : public Domain {
 public:
  // The format of our own table unless told otherwise: 64-bit inputs, 52-bit outputs, every power-of-two page size.
  static constexpr FormatConfiguration default_format{.format = FormatName::amd_v1, .levels = 6};

  // Words of the user page table, or pieces of its leaves, that one refresh looks at unless told otherwise: 256 GiB of 4 KiB
  // pages. A hostile table can say that everything is mapped, and keep us busy for ever.
  static constexpr std::uint64_t default_budget = std::uint64_t{1} << 26;

  // `table` as for NestedDomain. The shadow starts empty; refresh(Range::all()) fills it. `format` should be one that can
  // express all rights: what it must add to them, as reading to writing, devices get. EINVAL: no such format, or one with
  // larger pages or fewer inputs than the user's. ENOMEM.
  static Result<std::shared_ptr<ShadowDomain>> create(std::shared_ptr<Domain> parent, UserPageTable const& table,
                                                      Limits limits = {}, FormatConfiguration const& format = default_format,
                                                      std::uint64_t budget = default_budget);
  ~ShadowDomain() override;
  DomainKind kind() const override { return DomainKind::shadow; }
  [[nodiscard]] bool keeps_flags() const override { return flags_; }

  // Brings the shadow of these iovas up to date with the user page table and the parent. When it returns, no DMA uses anything
  // older. Entries that have not changed stay as they are, DMA through them is not disturbed. Accessed and dirty flags of the
  // user page table and of the parent are set now, for all that can be accessed or written from now on.
  // ENOMEM; E2BIG: the budget is used up. The shadow is empty then, and must be refreshed whole. EDEADLK.
  Result<void> refresh(Range iovas);

  // The same.
  Result<void> invalidate(Range iovas) override { return refresh(iovas); }

  // What the shadow holds: iovas to host addresses. Not beside refresh or changes of the parent.
  bool visit(Range iovas, FunctionRef<bool(Leaf const&)> visit) const { return shadow_->visit(iovas, visit); }

 private:
  ShadowDomain(Host const& host, std::shared_ptr<Domain> parent, UserPageTable const& table, Limits limits, std::uint64_t budget)
      : Domain(host, std::move(parent), limits),
        ignores_top_byte_(table.format.format == FormatName::arm_stage1 && table.format.top_byte_ignored),
        budget_(budget),
        epoch_(host.grace) {}
  Translation look_up(std::uint64_t input, Access access, Update update) const override;
  void parent_lost(Range guest) noexcept override;
  void parent_gained(Range guest) noexcept override;

  Result<void> bring_up_to_date(Range iovas) noexcept SWIOMMU_EXCLUDES(mutex_);
  Result<bool> compose_halves(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose_leaf(Leaf const& leaf, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] Access usable(Leaf const& leaf) const;
  [[nodiscard]] Translation usable_in_parent(std::uint64_t guest, Access rights) const;
  [[nodiscard]] Result<void> check_format() const;
  [[nodiscard]] std::uint64_t untagged(std::uint64_t iova) const;
  Result<bool> set(Range iovas, std::uint64_t output, Attributes attributes, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> drop(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);

  std::unique_ptr<PageTable> user_;    // read through the parent
  std::unique_ptr<PageTable> shadow_;  // changed only under mutex_
  bool const ignores_top_byte_;        // Arm TBI: iovas that differ in it are one
  bool flags_ = false;
  std::uint64_t const budget_;
  Mutex mutex_;
  std::uint64_t left_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // of the budget
  Epoch epoch_;                                        // our own guard over the parent's tables while we read them
  bool listens_ = false;
};

}  // namespace swiommu
