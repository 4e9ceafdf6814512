// The context domain: second level where the anchor names a context directory, which names one user page table per PASID
// (SMMUv3 CD table, AMD GCR3 table, RISC-V process directory).
//
// Contexts are read through the parent when DMA needs them. What translates may be kept until forget(); what does not (not
// present, invalid, unreadable) is never kept, so that a context which the user completes is used at once.
#pragma once
#include <map>

#include "swiommu/domain/context_source.h"
#include "swiommu/domain/nested_domain.h"

namespace swiommu {

class ContextDomain final : public Domain {
 public:
  // Contexts that are kept at the same time: a user may have a million.
  static constexpr std::size_t most_contexts = 1024;

  // `contexts` reads the directory through `parent`, for the device 0, and says where the tables of DMA with and without a
  // PASID are, in addresses that are inputs of `parent`: what it finds has no parent of its own. It is called inside guards.
  // ENOMEM. EDEADLK.
  static Result<std::shared_ptr<ContextDomain>> create(std::shared_ptr<Domain> parent,
                                                       std::unique_ptr<ContextSource const> contexts);
  ~ContextDomain() override { leave_parent(); }
  DomainKind kind() const override { return DomainKind::nested; }
  [[nodiscard]] bool keeps_flags() const override { return true; }  // a context may come that does
  [[nodiscard]] bool directs_pasids() const override { return true; }

  // When it returns, no DMA uses the context of this PASID as it was before the call. PASID 0: nor that of DMA without one, which
  // it may serve. EDEADLK: the calling thread is inside a guard.
  Result<void> forget(std::uint32_t pasid);
  // The same for all contexts.
  Result<void> forget_all();

 private:
  // What translates one PASID.
  struct Context {
    Limits limits;
    std::optional<std::uint64_t> base;  // bypass: the input that leads to guest address 0
    UserTables tables;                  // otherwise
  };
  using Key = std::optional<std::uint32_t>;
  using Contexts = std::map<Key, std::shared_ptr<Context const>>;

  ContextDomain(Host const& host, std::shared_ptr<Domain> parent, std::unique_ptr<ContextSource const> contexts)
      : Domain(host, std::move(parent), {}), source_(std::move(contexts)) {}
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;
  Translation look_up_pasid(std::uint64_t input, Access access, Update update, std::uint32_t pasid,
                            ParentReader* reader) const override;
  void parent_lost(Range guest) noexcept override;

  Translation through(Context const& context, std::uint64_t input, Access access, Update update, ParentReader* reader) const;
  std::expected<std::shared_ptr<Context const>, Translation> find(Key pasid) const;
  std::expected<std::shared_ptr<Context const>, Translation> read(Key pasid) const;

  std::unique_ptr<ContextSource const> const source_;
  mutable SharedMutex mutex_;  // innermost, and never held while guards are waited for: it is taken inside them
  mutable Contexts kept_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t version_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // one more with each forgetting
};

}  // namespace swiommu
