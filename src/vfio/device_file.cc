#include "vfio/device_file.h"

#include <fmt/format.h>

#include "swiommu/uapi/vfio.h"
#include "vfio/group.h"
#include "vfio/region.h"

namespace swiommu::vfio {

DeviceFile::DeviceFile(std::shared_ptr<PciFunction> function, std::shared_ptr<GroupFile> group)
    : function_(std::move(function)),
      group_(std::move(group)),
      name_(group_ ? "[vfio-device]" : fmt::format("/dev/vfio/devices/vfio{}", function_->number())) {}

Result<std::shared_ptr<DeviceFile>> DeviceFile::open_cdev(std::shared_ptr<PciFunction> function) {
  return guarded([&]() -> Result<std::shared_ptr<DeviceFile>> {
    return std::shared_ptr<DeviceFile>(new DeviceFile(std::move(function), nullptr));
  });
}

Result<std::shared_ptr<DeviceFile>> DeviceFile::open_by_group(std::shared_ptr<PciFunction> function,
                                                              std::shared_ptr<GroupFile> group) {
  return guarded([&]() -> Result<std::shared_ptr<DeviceFile>> {
    std::shared_ptr<DeviceFile> file(new DeviceFile(std::move(function), std::move(group)));
    SWIOMMU_TRY(file->group_->group()->open_function(*file->function_));
    file->granted_ = true;
    return file;
  });
}

DeviceFile::~DeviceFile() {
  if (!granted_) return;
  function_->opening().close();
  if (!group_) function_->group()->unblock();
}

Result<void> DeviceFile::check_granted() const {
  if (granted_.load(std::memory_order_acquire)) return {};
  return fail(EINVAL, "the device is not bound to an iommufd yet");
}

Result<std::uint64_t> DeviceFile::ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument) {
  return guarded([&]() -> Result<std::uint64_t> {
    if (request == VFIO_DEVICE_BIND_IOMMUFD) {
      SWIOMMU_TRY(bind(caller, argument));
      return 0;
    }
    SWIOMMU_TRY(check_granted());
    return function_ioctl(caller, request, argument);
  });
}

Result<std::uint64_t> DeviceFile::function_ioctl(iommufd::Caller& caller, std::uint32_t request, std::uint64_t argument) {
  Result<void> done;
  switch (request) {
    case VFIO_DEVICE_GET_INFO: done = get_info(caller, argument); break;
    case VFIO_DEVICE_GET_REGION_INFO: done = get_region_info(caller, argument); break;
    case VFIO_DEVICE_GET_IRQ_INFO: done = get_irq_info(caller, argument); break;
    case VFIO_DEVICE_SET_IRQS: {
      auto given =
          InterruptRequest::read(caller, argument, [this](std::uint32_t index) { return function_->interrupts().count(index); });
      done = given ? function_->set_interrupts(std::move(*given)) : std::unexpected(std::move(given).error());
      break;
    }
    case VFIO_DEVICE_RESET: function_->reset(); break;
    case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: done = get_hot_reset_info(caller, argument); break;
    case VFIO_DEVICE_PCI_HOT_RESET: done = hot_reset(caller, argument); break;
    case VFIO_DEVICE_FEATURE: done = feature(caller, argument); break;
    case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
      done = group_ ? fail(ENOTTY, "the device was opened through its group, which attaches it") : attach(caller, argument);
      break;
    case VFIO_DEVICE_DETACH_IOMMUFD_PT:
      done = group_ ? fail(ENOTTY, "the device was opened through its group, which attaches it") : detach(caller, argument);
      break;
    default: done = fail(ENOTTY, fmt::format("a device has no ioctl {:#x}", request));
  }
  if (!done) return std::unexpected(std::move(done).error());
  return 0;
}

Result<std::uint64_t> DeviceFile::read_at(iommufd::Caller& caller, std::uint64_t to, std::uint64_t length, std::uint64_t offset) {
  SWIOMMU_TRY(check_granted());
  return guarded([&] { return read_region(*function_, caller, to, length, offset); });
}

Result<std::uint64_t> DeviceFile::write_at(iommufd::Caller& caller, std::uint64_t from, std::uint64_t length,
                                           std::uint64_t offset) {
  SWIOMMU_TRY(check_granted());
  return guarded([&] { return write_region(*function_, caller, from, length, offset); });
}

Result<std::uint64_t> DeviceFile::read(iommufd::Caller& caller, std::uint64_t to, std::uint64_t length) {
  std::uint64_t const position = position_;
  auto const done = read_at(caller, to, length, position);
  if (done) position_ = position + *done;
  return done;
}

Result<std::uint64_t> DeviceFile::write(iommufd::Caller& caller, std::uint64_t from, std::uint64_t length) {
  std::uint64_t const position = position_;
  auto const done = write_at(caller, from, length, position);
  if (done) position_ = position + *done;
  return done;
}

Result<std::shared_ptr<iommufd::MappableMemory>> DeviceFile::map(std::uint64_t offset, std::uint64_t length, int, int flags) {
  SWIOMMU_TRY(check_granted());
  return map_region(*function_, shared_from_this(), offset, length, flags);
}

}  // namespace swiommu::vfio
