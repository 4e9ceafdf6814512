#include "iommufd/hwpt.h"

#include <algorithm>

#include "iommufd/fault_queue.h"
#include "iommufd/ioas.h"
#include "iommufd/viommu.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {

Hwpt::Hwpt(ObjectType type, std::shared_ptr<Driver> driver, bool pasid_compatible)
    : Object(type), driver_(std::move(driver)), pasid_compatible_(pasid_compatible) {}

Hwpt::~Hwpt() = default;

void Hwpt::set_fault_queue(std::shared_ptr<FaultQueue> queue) { fault_queue_ = Use<FaultQueue>(std::move(queue)); }

Ioas* Hwpt::reserves_in() {
  bool const apart = type() == ObjectType::hwpt_nested && !static_cast<HwptNested*>(this)->nested().reserves_in_parent();
  return apart ? nullptr : paging().ioas().get();
}

HwptPaging::HwptPaging(std::shared_ptr<Ioas> ioas, std::shared_ptr<Driver> driver, std::shared_ptr<PagingDomain> domain,
                       PagingPlan const& plan, std::uint32_t flags)
    : Hwpt(object_type, std::move(driver), (flags & IOMMU_HWPT_ALLOC_PASID) != 0),
      ioas_(std::move(ioas)),
      domain_(std::move(domain)),
      nest_parent_((flags & IOMMU_HWPT_ALLOC_NEST_PARENT) != 0),
      enforces_coherency_(plan.enforces_coherency),
      can_track_dirty_((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0) {}

Result<std::shared_ptr<HwptPaging>> HwptPaging::create(std::shared_ptr<Ioas> const& ioas, PhysicalDevice const& device,
                                                       std::uint32_t flags, std::optional<UserData> const& data, Caller* caller) {
  constexpr std::uint32_t known =
      IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
  if ((flags & ~known) != 0) return fail(EOPNOTSUPP, "flags of a paging HWPT that are unknown");
  if ((flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0 && !device.capabilities().dirty_tracking)
    return fail(EOPNOTSUPP, "the IOMMU of this device cannot track dirty pages");
  if ((flags & IOMMU_HWPT_FAULT_ID_VALID) != 0 && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) != 0)
    return fail(EOPNOTSUPP, "a nesting parent has no page requests");
  return guarded([&]() -> Result<std::shared_ptr<HwptPaging>> {
    auto const plan = device.driver()->plan_paging(device, flags & ~std::uint32_t{IOMMU_HWPT_FAULT_ID_VALID}, data, caller);
    if (!plan) return std::unexpected(plan.error());
    auto domain = PagingDomain::create(device.device()->host(), plan->format, plan->limits);
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::shared_ptr<HwptPaging>(new HwptPaging(ioas, device.driver(), std::move(*domain), *plan, flags));
  });
}

Result<void> HwptPaging::fill() {
  return guarded([&]() -> Result<void> {
    ioas_->hwpts().reserve(ioas_->hwpts().size() + 1);
    SWIOMMU_TRY(ioas_->space().attach_domain(domain_));
    ioas_->hwpts().push_back(this);
    filled_ = true;
    return {};
  });
}

HwptPaging::~HwptPaging() {
  if (!filled_) return;
  std::erase(ioas_->hwpts(), this);
  std::ignore = ioas_->space().detach_domain(*domain_);  // no guard is held, and it is attached
}

HwptNested::HwptNested(std::shared_ptr<HwptPaging> parent, std::unique_ptr<DriverNested> nested, std::shared_ptr<Driver> driver,
                       bool pasid_compatible)
    : Hwpt(object_type, std::move(driver), pasid_compatible), parent_(std::move(parent)), nested_(std::move(nested)) {}

HwptNested::HwptNested(std::shared_ptr<Viommu> viommu, std::unique_ptr<DriverNested> nested, bool pasid_compatible)
    : Hwpt(object_type, viommu->driver(), pasid_compatible), viommu_(std::move(viommu)), nested_(std::move(nested)) {}

HwptNested::~HwptNested() = default;

HwptPaging& HwptNested::paging() { return viommu_ ? *viommu_->parent() : *parent_; }

}  // namespace swiommu::iommufd
