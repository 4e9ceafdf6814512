#include "swiommu/domain/fixed_domains.h"

#include <algorithm>

namespace swiommu {

Result<std::shared_ptr<IdentityDomain>> IdentityDomain::create(Host const& host, Limits limits, std::uint64_t base) {
  return guarded([&]() -> Result<std::shared_ptr<IdentityDomain>> {
    return std::shared_ptr<IdentityDomain>(new IdentityDomain(host, nullptr, limits, base));
  });
}

Result<std::shared_ptr<IdentityDomain>> IdentityDomain::create(std::shared_ptr<Domain> parent, Limits limits,
                                                               std::uint64_t base) {
  return guarded([&]() -> Result<std::shared_ptr<IdentityDomain>> {
    Host const host = parent->host();
    std::shared_ptr<IdentityDomain> domain(new IdentityDomain(host, std::move(parent), limits, base));
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

Translation IdentityDomain::look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const {
  if (input < base_) return {.reason = Reason::out_of_range, .where = this};
  std::uint64_t const output = input - base_;
  // The block in which adding the base carries nothing: aligned to both sides.
  auto const aligned = static_cast<std::uint8_t>(alignment_lg2(base_));
  if (!parent()) return {.where = this, .output = output, .size_lg2 = aligned, .attributes = {.access = Access::both()}};
  Translation t = reader != nullptr ? reader->translate(*parent(), output, access) : parent()->translate(output, access, update);
  t.size_lg2 = std::min(t.size_lg2, aligned);
  return t;
}

Result<std::shared_ptr<BlockingDomain>> BlockingDomain::create(Host const& host) {
  return guarded([&]() -> Result<std::shared_ptr<BlockingDomain>> {
    return std::shared_ptr<BlockingDomain>(new BlockingDomain(host, nullptr, {}));
  });
}

Translation BlockingDomain::look_up(std::uint64_t, Access, Update, ParentReader*) const {
  return {.reason = Reason::not_mapped, .where = this};
}

}  // namespace swiommu
