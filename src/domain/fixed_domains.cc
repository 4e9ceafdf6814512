#include "swiommu/domain/fixed_domains.h"

namespace swiommu {

Result<std::shared_ptr<IdentityDomain>> IdentityDomain::create(Host const& host, Limits limits) {
  return guarded([&]() -> Result<std::shared_ptr<IdentityDomain>> {
    return std::shared_ptr<IdentityDomain>(new IdentityDomain(host, nullptr, limits));
  });
}

Result<std::shared_ptr<IdentityDomain>> IdentityDomain::create(std::shared_ptr<Domain> parent, Limits limits) {
  return guarded([&]() -> Result<std::shared_ptr<IdentityDomain>> {
    Host const host = parent->host();
    std::shared_ptr<IdentityDomain> domain(new IdentityDomain(host, std::move(parent), limits));
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

Translation IdentityDomain::look_up(std::uint64_t input, Access access, Update update) const {
  if (parent()) return parent()->translate(input, access, update);
  return {.where = this, .output = input, .size_lg2 = 64, .attributes = {.access = Access::both()}};
}

Result<std::shared_ptr<BlockingDomain>> BlockingDomain::create(Host const& host) {
  return guarded([&]() -> Result<std::shared_ptr<BlockingDomain>> {
    return std::shared_ptr<BlockingDomain>(new BlockingDomain(host, nullptr, {}));
  });
}

Translation BlockingDomain::look_up(std::uint64_t, Access, Update) const { return {.reason = Reason::not_mapped, .where = this}; }

}  // namespace swiommu
