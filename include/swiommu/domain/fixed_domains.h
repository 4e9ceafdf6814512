// The domains without a table.
#pragma once
#include "swiommu/domain/domain.h"

namespace swiommu {

// Outputs what comes in, less `base`: addresses of the host's memory, or of a parent.
class IdentityDomain final : public Domain {
 public:
  // `base`: the input that leads to address 0; inputs below it are out_of_range. ENOMEM.
  static Result<std::shared_ptr<IdentityDomain>> create(Host const& host, Limits limits = {}, std::uint64_t base = 0);
  static Result<std::shared_ptr<IdentityDomain>> create(std::shared_ptr<Domain> parent, Limits limits = {},
                                                        std::uint64_t base = 0);
  ~IdentityDomain() override { leave_parent(); }
  DomainKind kind() const override { return DomainKind::identity; }
  [[nodiscard]] std::uint64_t base() const { return base_; }

 private:
  IdentityDomain(Host const& host, std::shared_ptr<Domain> parent, Limits limits, std::uint64_t base)
      : Domain(host, std::move(parent), limits), base_(base) {}
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;

  std::uint64_t const base_;
};

// Translates nothing: every access is not_mapped.
class BlockingDomain final : public Domain {
 public:
  // ENOMEM.
  static Result<std::shared_ptr<BlockingDomain>> create(Host const& host);
  DomainKind kind() const override { return DomainKind::blocking; }

 private:
  using Domain::Domain;
  Translation look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const override;
};

}  // namespace swiommu
