// Resets of the bus that a function is on: it is alone there.
#include <fmt/format.h>

#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/device_file.h"
#include "vfio/group.h"

namespace swiommu::vfio {
namespace {

// What comes before the devices in vfio_pci_hot_reset_info, and before the groups in vfio_pci_hot_reset.
struct Head {
  std::uint32_t argsz = 0, flags = 0, count = 0;
};
static_assert(sizeof(Head) == sizeof(vfio_pci_hot_reset_info) && sizeof(Head) == sizeof(vfio_pci_hot_reset));

}  // namespace

Result<void> DeviceFile::get_hot_reset_info(iommufd::Caller& caller, std::uint64_t argument) const {
  Head info;
  SWIOMMU_TRY(read_argument(caller, argument, sizeof info, info));
  PciAddress const address = function_->address();
  vfio_pci_dependent_device device{};
  device.group_id = function_->group()->number();
  device.segment = address.segment;
  device.bus = address.bus;
  device.devfn = address.devfn();
  info.flags = 0;
  info.count = 1;
  if (!group_) {
    auto const id = function_->opening().id_in(function_->opening().iommufd().get());
    device.devid = id ? *id : static_cast<std::uint32_t>(VFIO_PCI_DEVID_NOT_OWNED);
    info.flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID | (id ? VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED : 0);
  }
  bool const fits = info.argsz >= sizeof info + sizeof device;
  if (fits) SWIOMMU_TRY(copy_to(caller, argument + sizeof info, std::as_bytes(std::span(&device, 1))));
  SWIOMMU_TRY(write_argument(caller, argument, info, sizeof info));
  if (!fits) return fail(ENOSPC, fmt::format("argsz {} has no room for one device", info.argsz));
  return {};
}

Result<void> DeviceFile::hot_reset(iommufd::Caller& caller, std::uint64_t argument) {
  Head given;
  SWIOMMU_TRY(read_argument(caller, argument, sizeof given, given));
  if (given.flags != 0) return fail(EINVAL, fmt::format("there are no flags {:#x}", given.flags));
  // Who has groups shows them; who has cdevs owns what is bound to the same iommufd.
  if ((given.count != 0) == (group_ == nullptr))
    return fail(EINVAL, "groups are shown by those who have the device by its group");
  if (given.count > 1) return fail(EINVAL, fmt::format("{} groups, and one device is reset", given.count));
  if (given.count == 1) {
    std::int32_t descriptor = -1;
    if (!caller.copy_in(argument + sizeof given, std::as_writable_bytes(std::span(&descriptor, 1))))
      return fail(EFAULT, "the descriptors cannot be read");
    auto const file = caller.open_file(descriptor);
    if (!file) SWIOMMU_TRY(caller.borrow(descriptor));
    auto const* const shown = dynamic_cast<GroupFile const*>(file.get());
    if (shown == nullptr || shown->group() != function_->group())
      return fail(EINVAL, fmt::format("descriptor {} is not that of the device's group", descriptor));
  }
  function_->reset();
  return {};
}

}  // namespace swiommu::vfio
