// A domain that leads to another one, which can be exchanged while devices are attached: what a user's context, which the user
// rewrites, leads to.
#pragma once
#include <atomic>
#include <memory>

#include "swiommu/base/mutex.h"
#include "swiommu/domain/domain.h"

namespace swiommu {

class SwitchDomain final : public Domain {
 public:
  // Leads nowhere at first: every access is a fault, Reason::configuration. All that it leads to stands on `parent`. ENOMEM.
  static Result<std::shared_ptr<SwitchDomain>> create(std::shared_ptr<Domain> parent);
  ~SwitchDomain() override { leave_parent(); }
  DomainKind kind() const override { return DomainKind::nested; }
  [[nodiscard]] bool keeps_flags() const override { return true; }  // it may, at any time

  // When it returns, no DMA uses what it led to before. `target` is `parent` or stands on it; nullptr: nowhere. EDEADLK.
  Result<void> lead_to(std::shared_ptr<Domain> target);

 private:
  SwitchDomain(Host const& host, std::shared_ptr<Domain> parent) : Domain(host, std::move(parent), {}) {}
  Translation look_up(std::uint64_t input, Access access, Update update) const override;

  Mutex mutex_;  // before the listeners of domains
  std::shared_ptr<Domain> owned_ SWIOMMU_GUARDED_BY(mutex_);
  std::atomic<Domain const*> target_ = nullptr;
};

}  // namespace swiommu
