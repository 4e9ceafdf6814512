// What a function has: regions and interrupts.
#include <fmt/format.h>

#include <algorithm>

#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/device_file.h"
#include "vfio/region.h"

namespace swiommu::vfio {

Result<void> DeviceFile::get_info(iommufd::Caller& caller, std::uint64_t argument) const {
  vfio_device_info info{};
  SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_info, num_irqs), info));
  info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
  info.num_regions = VFIO_PCI_NUM_REGIONS;
  info.num_irqs = VFIO_PCI_NUM_IRQS;
  return write_argument(caller, argument, info, info.argsz);
}

Result<void> DeviceFile::get_region_info(iommufd::Caller& caller, std::uint64_t argument) const {
  vfio_region_info info{};
  SWIOMMU_TRY(read_argument(caller, argument, sizeof info, info));
  if (info.index >= VFIO_PCI_NUM_REGIONS || info.index == VFIO_PCI_VGA_REGION_INDEX)
    return fail(EINVAL, fmt::format("there is no region {}", info.index));
  std::uint32_t const room = info.argsz;
  info.offset = region_offset(info.index);
  info.size = 0;
  info.flags = 0;
  info.cap_offset = 0;
  bool table_is_mappable = false;
  if (info.index == VFIO_PCI_CONFIG_REGION_INDEX) {
    info.size = function_->configuration_size();
    info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
  } else if (Bar const* const bar = function_->find_bar(info.index); bar != nullptr) {
    MsixTables const& tables = function_->description().msix;
    info.size = bar->bytes;
    info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    if (bar->mappable) info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
    table_is_mappable = bar->mappable && tables.vectors != 0 && tables.bar == bar->number;
  }
  if (table_is_mappable) {
    vfio_info_cap_header const capability{VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 0};
    info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
    if (room < sizeof info + sizeof capability) {
      info.argsz = sizeof info + sizeof capability;
    } else {
      SWIOMMU_TRY(copy_to(caller, argument + sizeof info, std::as_bytes(std::span(&capability, 1))));
      info.cap_offset = sizeof info;
    }
  }
  return write_argument(caller, argument, info, sizeof info);
}

Result<void> DeviceFile::get_irq_info(iommufd::Caller& caller, std::uint64_t argument) const {
  vfio_irq_info info{};
  SWIOMMU_TRY(read_argument(caller, argument, sizeof info, info));
  bool const is_error = info.index == VFIO_PCI_ERR_IRQ_INDEX;
  if (info.index >= VFIO_PCI_NUM_IRQS || (is_error && !function_->description().extended))
    return fail(EINVAL, fmt::format("there are no interrupts of index {}", info.index));
  info.flags = Interrupts::flags(info.index);
  info.count = function_->interrupts().count(info.index);
  return write_argument(caller, argument, info, sizeof info);
}

}  // namespace swiommu::vfio
