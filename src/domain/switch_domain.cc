#include "domain/switch_domain.h"

namespace swiommu {

Result<std::shared_ptr<SwitchDomain>> SwitchDomain::create(std::shared_ptr<Domain> parent) {
  return guarded([&]() -> Result<std::shared_ptr<SwitchDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<SwitchDomain> domain(new SwitchDomain(host, std::move(parent)));
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

Result<void> SwitchDomain::lead_to(std::shared_ptr<Domain> target) {
  SWIOMMU_TRY(refuse_inside_guard());
  Lock const lock(mutex_);
  target_.store(target.get(), std::memory_order_seq_cst);
  make_stale(Range::all());
  wait_for_listeners();
  owned_.swap(target);
  return {};
}

Translation SwitchDomain::look_up(std::uint64_t input, Access access, Update update) const {
  Domain const* const target = target_.load(std::memory_order_acquire);
  if (target == nullptr) return {.reason = Reason::configuration, .where = this};
  Translation t = target->translate(input, access, update);
  // In the tree this one stands where the target does.
  if (t.where == target && target != parent().get()) t.where = this;
  return t;
}

}  // namespace swiommu
