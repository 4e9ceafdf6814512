// The domains without a table.
#pragma once
#include "swiommu/domain/domain.h"

namespace swiommu {

// Outputs what comes in: addresses of the host's memory, or of a parent.
class IdentityDomain final : public Domain {
 public:
  // ENOMEM.
  static Result<std::shared_ptr<IdentityDomain>> create(Host const& host, Limits limits = {});
  static Result<std::shared_ptr<IdentityDomain>> create(std::shared_ptr<Domain> parent, Limits limits = {});
  DomainKind kind() const override { return DomainKind::identity; }

 private:
  using Domain::Domain;
  Translation look_up(std::uint64_t input, Access access, Update update) const override;
};

// Translates nothing: every access is not_mapped.
class BlockingDomain final : public Domain {
 public:
  // ENOMEM.
  static Result<std::shared_ptr<BlockingDomain>> create(Host const& host);
  DomainKind kind() const override { return DomainKind::blocking; }

 private:
  using Domain::Domain;
  Translation look_up(std::uint64_t input, Access access, Update update) const override;
};

}  // namespace swiommu
