#include "iommufd/viommu.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/device_object.h"
#include "iommufd/event_queue.h"
#include "iommufd/file.h"
#include "iommufd/hw_queue.h"

namespace swiommu::iommufd {

Viommu::Viommu(File& file, std::uint32_t type, std::shared_ptr<HwptPaging> parent, std::shared_ptr<Driver> driver)
    : Object(object_type), file_(file), kind_(type), parent_(std::move(parent)), driver_(std::move(driver)) {}

Viommu::~Viommu() {
  half_ = nullptr;
  file_.mappable().remove(*this);
}

Result<std::uint64_t> Viommu::add_mappable(int descriptor, std::uint64_t offset, std::uint64_t length) {
  return file_.mappable().add(*this, descriptor, offset, length);
}

std::shared_ptr<PhysicalDevice> Viommu::find_device(std::uint64_t virtual_id) const {
  Lock const lock(mutex_);
  auto const at = devices_.find(virtual_id);
  return at == devices_.end() ? nullptr : at->second;
}

Result<std::uint64_t> Viommu::virtual_id(PhysicalDevice const& device) const {
  Lock const lock(mutex_);
  auto const at = std::ranges::find_if(devices_, [&](auto const& entry) { return entry.second.get() == &device; });
  if (at == devices_.end()) return fail(ENOENT, "the device has no vDEVICE on this vIOMMU");
  return at->first;
}

Result<void> Viommu::add_device(std::uint64_t virtual_id, std::shared_ptr<PhysicalDevice> device) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    if (!devices_.try_emplace(virtual_id, std::move(device)).second)
      return fail(EEXIST, fmt::format("virtual id {:#x} is taken on this vIOMMU", virtual_id));
    return {};
  });
}

void Viommu::remove_device(std::uint64_t virtual_id) noexcept {
  std::shared_ptr<PhysicalDevice> last;  // dies without the mutex
  Lock const lock(mutex_);
  if (auto const at = devices_.find(virtual_id); at != devices_.end()) {
    last = std::move(at->second);
    devices_.erase(at);
  }
}

Result<void> Viommu::report_event(std::uint32_t type, std::span<std::byte const> event) {
  auto const queue = event_queue(type);
  if (!queue) return fail(EOPNOTSUPP, "nobody has a queue for events of this type");
  return queue->add(event);
}

std::shared_ptr<EventQueue> Viommu::event_queue(std::uint32_t type) const {
  Lock const lock(mutex_);
  auto const at = event_queues_.find(type);
  return at == event_queues_.end() ? nullptr : at->second.lock();
}

Result<void> Viommu::add_event_queue(std::uint32_t type, std::shared_ptr<EventQueue> const& queue) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    if (!event_queues_.try_emplace(type, queue).second)
      return fail(EEXIST, fmt::format("the vIOMMU has an event queue of type {} already", type));
    return {};
  });
}

void Viommu::remove_event_queue(std::uint32_t type) noexcept {
  Lock const lock(mutex_);
  event_queues_.erase(type);
}

Vdevice::Vdevice(std::shared_ptr<Viommu> viommu, DeviceObject& device, std::uint64_t virtual_id)
    : Object(object_type), viommu_(std::move(viommu)), device_(device), virtual_id_(virtual_id) {}

Result<void> Vdevice::join() {
  SWIOMMU_TRY(viommu_->add_device(virtual_id_, device_.physical()));
  joined_ = true;
  device_.set_vdevice(this);
  auto half = viommu_->half().make_vdevice(*this);
  if (!half) return std::unexpected(std::move(half).error());
  half_ = std::move(*half);
  return {};
}

Vdevice::~Vdevice() {
  half_ = nullptr;
  if (!joined_) return;
  viommu_->remove_device(virtual_id_);
  device_.set_vdevice(nullptr);
}

}  // namespace swiommu::iommufd
