#include "iommufd/drivers/context_nested.h"

#include <fmt/format.h>

namespace swiommu::iommufd {

ContextNested::ContextNested(ContextViommu& viommu, std::shared_ptr<ContextDomain> domain, std::uint32_t tag)
    : viommu_(viommu), domain_(std::move(domain)), tag_(tag) {
  viommu_.nested_.push_back(this);
}

ContextNested::~ContextNested() { std::erase(viommu_.nested_, this); }

Result<std::shared_ptr<Domain>> ContextNested::attach(PhysicalDevice&, HwptNested&) { return domain_; }

Result<std::shared_ptr<PhysicalDevice>> ContextViommu::device(std::uint64_t virtual_id) const {
  auto found = viommu_.find_device(virtual_id);
  if (!found) return fail(EIO, fmt::format("a command about the device {:#x}, which no vDEVICE has", virtual_id));
  return found;
}

std::shared_ptr<ContextDomain> ContextViommu::attached(PhysicalDevice const& device) const {
  auto const domain = device.device()->domain();
  for (ContextNested const* const nested : nested_)
    if (nested->domain_ == domain) return nested->domain_;
  return nullptr;
}

Result<void> ContextViommu::tables_changed(Range iovas, std::optional<std::uint32_t> tag) {
  for (ContextNested const* const nested : nested_)
    if (!tag || nested->tag_ == *tag) SWIOMMU_TRY(nested->domain_->invalidate(iovas));
  return {};
}

Result<void> ContextViommu::context_changed(PhysicalDevice const& device, Pasid pasid) {
  auto const domain = attached(device);
  return domain ? domain->forget(pasid) : Result<void>{};
}

Result<void> ContextViommu::contexts_changed(PhysicalDevice const& device) {
  auto const domain = attached(device);
  return domain ? domain->forget_all() : Result<void>{};
}

Result<void> ContextViommu::contexts_changed(std::optional<Pasid> pasid, std::optional<std::uint32_t> tag) {
  for (ContextNested const* const nested : nested_)
    if (!tag || nested->tag_ == *tag) SWIOMMU_TRY(pasid ? nested->domain_->forget(*pasid) : nested->domain_->forget_all());
  return {};
}

}  // namespace swiommu::iommufd
