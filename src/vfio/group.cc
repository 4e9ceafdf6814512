#include "vfio/group.h"

#include <fmt/format.h>

#include "iommufd/compatibility_ioas.h"
#include "vfio/device_name.h"
#include "vfio/pci_function.h"

namespace swiommu::vfio {

Result<void> Group::add(std::weak_ptr<PciFunction> function) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    functions_.push_back(std::move(function));
    return {};
  });
}

Result<void> Group::block() {
  Lock const lock(mutex_);
  if (open_) return fail(EBUSY, fmt::format("/dev/vfio/{} is open, so the devices of the group are bound through it", number_));
  cdevs_++;
  return {};
}

void Group::unblock() noexcept {
  Lock const lock(mutex_);
  cdevs_--;
}

Result<void> Group::open() {
  Lock const lock(mutex_);
  if (open_) return fail(EBUSY, fmt::format("/dev/vfio/{} is open already", number_));
  if (cdevs_ != 0) return fail(EBUSY, fmt::format("a device of group {} is bound through its own file", number_));
  open_ = true;
  return {};
}

void Group::close() noexcept {
  std::shared_ptr<iommufd::OpenFile> container;  // dies without the lock
  Lock const lock(mutex_);
  container.swap(container_);
  open_ = false;
}

Result<void> Group::set_container(std::shared_ptr<iommufd::OpenFile> container) {
  Lock const lock(mutex_);
  if (container_) return fail(EINVAL, "the group has a container");
  SWIOMMU_TRY(iommufd::provide_compatibility_ioas(container));
  container_ = std::move(container);
  return {};
}

Result<void> Group::unset_container() {
  std::shared_ptr<iommufd::OpenFile> container;
  Lock const lock(mutex_);
  if (!container_) return fail(EINVAL, "the group has no container");
  container.swap(container_);
  return {};
}

bool Group::has_container() const {
  Lock const lock(mutex_);
  return container_ != nullptr;
}

bool Group::viable() const {
  Lock const lock(mutex_);
  if (container_) return true;
  for (auto const& weak : functions_)
    if (auto const function = weak.lock(); function && function->opening().iommufd()) return false;
  return true;
}

Result<std::shared_ptr<PciFunction>> Group::find(std::string_view name) const {
  Lock const lock(mutex_);
  for (auto const& weak : functions_) {
    auto function = weak.lock();
    if (!function) continue;
    auto const matched = match_device_name(name, function->address());
    if (!matched) return std::unexpected(matched.error());
    if (*matched) return function;
  }
  return fail(ENODEV, fmt::format("group {} has no device {}", number_, name));
}

Result<void> Group::open_function(PciFunction& function) const {
  Lock const lock(mutex_);
  if (!container_) return fail(EINVAL, "the group has no container");
  return function.opening().open_shared(container_);
}

}  // namespace swiommu::vfio
