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

  // `table` as for NestedDomain. The shadow starts empty; refresh(Range::all()) fills it. EINVAL: no such format. ENOMEM.
  static Result<std::shared_ptr<ShadowDomain>> create(std::shared_ptr<Domain> parent, UserPageTable const& table, Limits limits = {},
                                                      FormatConfiguration const& format = default_format);
  ~ShadowDomain() override;
  DomainKind kind() const override { return DomainKind::shadow; }

  // Brings the shadow of these iovas up to date with the user page table and the parent. When it returns, no DMA uses anything
  // older. Entries that have not changed stay as they are, DMA through them is not disturbed. ENOMEM: the shadow is empty
  // now, and must be refreshed whole. EDEADLK.
  Result<void> refresh(Range iovas);

  // What the shadow holds: iovas to host addresses. Not beside refresh or changes of the parent.
  bool visit(Range iovas, FunctionRef<bool(Leaf const&)> visit) const { return shadow_->visit(iovas, visit); }

 private:
  ShadowDomain(Host const& host, std::shared_ptr<Domain> parent, Limits limits)
      : Domain(host, std::move(parent), limits), epoch_(host.grace) {}
  Translation look_up(std::uint64_t input, Access access, Update update) const override;
  void parent_lost(Range guest) noexcept override;
  void parent_gained(Range guest) noexcept override;

  Result<void> bring_up_to_date(Range iovas) noexcept SWIOMMU_EXCLUDES(mutex_);
  Result<bool> compose_halves(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> compose_leaf(Leaf const& leaf, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> set(Range iovas, std::uint64_t output, Attributes attributes, Gather& gather) SWIOMMU_REQUIRES(mutex_);
  Result<bool> drop(Range iovas, Gather& gather) SWIOMMU_REQUIRES(mutex_);

  std::unique_ptr<PageTable> user_;    // read through the parent
  std::unique_ptr<PageTable> shadow_;  // changed only under mutex_
  Mutex mutex_;
  Epoch epoch_;  // our own guard over the parent's tables while we read them
  bool listens_ = false;
};

}  // namespace swiommu
