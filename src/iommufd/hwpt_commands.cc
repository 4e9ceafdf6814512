// HWPT_ALLOC, HWPT_INVALIDATE and GET_HW_INFO.
#include <fmt/format.h>

#include <bit>

#include "iommufd/commands.h"
#include "iommufd/device_object.h"
#include "iommufd/drivers/raw_nested.h"
#include "iommufd/fault_queue.h"
#include "iommufd/hwpt.h"
#include "iommufd/invalidation_array.h"
#include "iommufd/ioas.h"
#include "iommufd/viommu.h"
#include "swiommu/memory/mapping.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t most_entries = 1 << 19;

using AllocCommand = Command<iommu_hwpt_alloc>;

Result<std::shared_ptr<Hwpt>> alloc_paging(AllocCommand const& command, PhysicalDevice const& device,
                                           std::shared_ptr<Ioas> const& ioas, UserData const& data) {
  auto hwpt = HwptPaging::create(ioas, device, command.arguments.flags, data.length == 0 ? std::nullopt : std::optional(data),
                                 &command.caller);
  if (!hwpt) return std::unexpected(std::move(hwpt).error());
  SWIOMMU_TRY((*hwpt)->fill());
  return std::move(*hwpt);
}

// What both kinds of nested HWPT ask for.
Result<void> check_nested(AllocCommand const& command, UserData const& data, bool nests) {
  constexpr std::uint32_t known = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
  if ((command.arguments.flags & ~known) != 0)
    return fail(EOPNOTSUPP, fmt::format("flags {:#x} that a nested HWPT does not have", command.arguments.flags & ~known));
  if (data.length == 0) return fail(EOPNOTSUPP, "a nested HWPT needs data: where the user's page table is");
  if (!nests) return fail(EOPNOTSUPP, "this hardware has no nested HWPTs on such a parent");
  return {};
}

Result<std::shared_ptr<Hwpt>> alloc_nested(AllocCommand const& command, PhysicalDevice const& device,
                                           std::shared_ptr<HwptPaging> const& parent, UserData const& data) {
  auto const& driver = device.driver();
  bool const raw = data.type == SWIOMMU_HWPT_DATA_RAW && driver->nests_raw();
  SWIOMMU_TRY(check_nested(command, data, raw || driver->nests()));
  if (parent->automatic())
    return fail(EINVAL, fmt::format("HWPT {} was made automatically, and cannot be a parent", parent->id()));
  if (!parent->nest_parent())
    return fail(EINVAL, fmt::format("HWPT {} was made without IOMMU_HWPT_ALLOC_NEST_PARENT", parent->id()));
  if (parent->driver().kind() != driver->kind())
    return fail(EINVAL, fmt::format("HWPT {} was made for {}, and the device is behind {}", parent->id(), parent->driver().kind(),
                                    driver->kind()));
  std::uint32_t const flags = command.arguments.flags & ~std::uint32_t{IOMMU_HWPT_FAULT_ID_VALID};
  auto nested =
      raw ? RawNested::create(*parent, data, command.caller) : driver->make_nested(device, *parent, flags, data, command.caller);
  if (!nested) return std::unexpected(std::move(nested).error());
  return std::make_shared<HwptNested>(parent, std::move(*nested), driver, (flags & IOMMU_HWPT_ALLOC_PASID) != 0);
}

Result<std::shared_ptr<Hwpt>> alloc_on_viommu(AllocCommand const& command, PhysicalDevice const& device,
                                              std::shared_ptr<Viommu> const& viommu, UserData const& data) {
  if (viommu->driver() != device.driver())
    return fail(EINVAL, fmt::format("vIOMMU {} is part of another IOMMU than that of the device", viommu->id()));
  SWIOMMU_TRY(check_nested(command, data, viommu->half().nests()));
  std::uint32_t const flags = command.arguments.flags & ~std::uint32_t{IOMMU_HWPT_FAULT_ID_VALID};
  auto nested = viommu->half().make_nested(flags, data, command.caller);
  if (!nested) return std::unexpected(std::move(nested).error());
  return std::make_shared<HwptNested>(viommu, std::move(*nested), (flags & IOMMU_HWPT_ALLOC_PASID) != 0);
}

Result<std::shared_ptr<Hwpt>> alloc(AllocCommand const& command, PhysicalDevice const& device,
                                    std::shared_ptr<Object> const& parent, UserData const& data) {
  switch (parent->type()) {
    case ObjectType::ioas: return alloc_paging(command, device, std::static_pointer_cast<Ioas>(parent), data);
    case ObjectType::hwpt_paging: return alloc_nested(command, device, std::static_pointer_cast<HwptPaging>(parent), data);
    case ObjectType::viommu: return alloc_on_viommu(command, device, std::static_pointer_cast<Viommu>(parent), data);
    default:
      return fail(EINVAL, fmt::format("object {} is a {}, and no HWPT stands on that", parent->id(), name(parent->type())));
  }
}

Result<void> invalidate(Command<iommu_hwpt_invalidate> const& command, std::uint32_t& done) {
  auto const& arguments = command.arguments;
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  if (arguments.entry_num != 0) {
    if (arguments.data_uptr == 0) return fail(EINVAL, "entries, and no data_uptr");
    if (arguments.entry_len == 0 || arguments.entry_len > host_page_size)
      return fail(EINVAL, fmt::format("entries of {} bytes", arguments.entry_len));
    if (arguments.entry_num > most_entries)
      return fail(EINVAL, fmt::format("{} entries, and {} are the most", arguments.entry_num, most_entries));
  }
  auto const object = command.file.objects().lookup(arguments.hwpt_id);
  if (!object) return fail(ENOENT, fmt::format("there is no object {}", arguments.hwpt_id));
  InvalidationArray entries(command.caller, arguments.data_type, arguments.data_uptr, arguments.entry_len, arguments.entry_num);
  auto const through = [&](auto& half) -> Result<void> {
    if (!half.invalidates()) return fail(EOPNOTSUPP, "this hardware has no invalidation here");
    auto result = half.invalidate(entries);
    done = entries.done();
    return result;
  };
  if (object->type() == ObjectType::hwpt_nested) return through(static_cast<HwptNested&>(*object).nested());
  if (object->type() == ObjectType::viommu) return through(static_cast<Viommu&>(*object).half());
  bool const paging = object->type() == ObjectType::hwpt_paging;
  return fail(paging ? static_cast<HwptPaging&>(*object).driver().invalidation_refusal() : EINVAL,
              fmt::format("object {} is a {}, which has nothing to invalidate", object->id(), name(object->type())));
}

}  // namespace

Result<void> hwpt_alloc(Command<iommu_hwpt_alloc> const& command) {
  auto& arguments = command.arguments;
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  UserData const data{arguments.data_type, arguments.data_uptr, arguments.data_len};
  if (data.type == IOMMU_HWPT_DATA_NONE && data.length != 0) return fail(EINVAL, "data of no type");
  if (data.type != IOMMU_HWPT_DATA_NONE && data.length == 0)
    return fail(EINVAL, fmt::format("a data_type, {}, without data", data.type));
  auto const device = command.file.objects().find<DeviceObject>(arguments.dev_id);
  if (!device) return std::unexpected(device.error());
  auto const parent = command.file.objects().lookup(arguments.pt_id);
  if (!parent) return fail(EINVAL, fmt::format("there is no object {} to stand on (pt_id)", arguments.pt_id));
  auto hwpt = alloc(command, *(*device)->physical(), parent, data);
  if (!hwpt) return std::unexpected(std::move(hwpt).error());
  auto added = command.file.objects().add(*hwpt);
  if (!added) return std::unexpected(std::move(added).error());
  if ((arguments.flags & IOMMU_HWPT_FAULT_ID_VALID) != 0) {
    auto queue = command.file.objects().find<FaultQueue>(arguments.fault_id);
    if (!queue) return std::unexpected(std::move(queue).error());
    (*hwpt)->set_fault_queue(std::move(*queue));
  }
  arguments.out_hwpt_id = added->id();
  return command.publish(std::move(*added));
}

Result<void> hwpt_invalidate(Command<iommu_hwpt_invalidate> const& command) {
  std::uint32_t done = 0;
  auto result = invalidate(command, done);
  command.arguments.entry_num = done;
  SWIOMMU_TRY(command.respond());
  return result;
}

Result<void> get_hw_info(Command<iommu_hw_info> const& command) {
  auto& arguments = command.arguments;
  if ((arguments.flags & ~std::uint32_t{IOMMU_HW_INFO_FLAG_INPUT_TYPE}) != 0)
    return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  for (auto const reserved : arguments.__reserved)
    if (reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  bool const typed = (arguments.flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE) != 0;
  auto const object = command.file.objects().find<DeviceObject>(arguments.dev_id);
  if (!object) return std::unexpected(object.error());
  PhysicalDevice const& device = *(*object)->physical();
  auto const info =
      device.driver()->hardware_info(device, typed ? arguments.in_data_type : std::uint32_t{IOMMU_HW_INFO_TYPE_DEFAULT});
  if (!info) return std::unexpected(info.error());
  auto const data = std::span(info->data).first(std::min<std::size_t>(info->data.size(), arguments.data_len));
  if (!data.empty() && !command.caller.copy_out(arguments.data_uptr, data))
    return fail(EFAULT, "the information cannot be written to data_uptr");
  constexpr std::array<std::byte, 256> zeros{};
  for (std::uint64_t at = data.size(); at < arguments.data_len;) {
    auto const part = std::span(zeros).first(std::min<std::size_t>(zeros.size(), arguments.data_len - at));
    if (!command.caller.copy_out(arguments.data_uptr + at, part)) return fail(EFAULT, "data_len is more than can be written");
    at += part.size();
  }
  arguments.out_data_type = info->type;
  arguments.data_len = static_cast<std::uint32_t>(info->data.size());
  DeviceCapabilities const& capabilities = device.capabilities();
  arguments.out_capabilities = 0;
  if (capabilities.dirty_tracking) arguments.out_capabilities |= IOMMU_HW_CAP_DIRTY_TRACKING;
  if (!capabilities.ats) arguments.out_capabilities |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
  arguments.out_max_pasid_log2 = 0;
  if (device.pasids() != 0) {
    arguments.out_max_pasid_log2 = static_cast<std::uint8_t>(log2_floor(device.pasids()));
    if (capabilities.pasid_exec) arguments.out_capabilities |= IOMMU_HW_CAP_PCI_PASID_EXEC;
    if (capabilities.pasid_priv) arguments.out_capabilities |= IOMMU_HW_CAP_PCI_PASID_PRIV;
  }
  return command.respond();
}

}  // namespace swiommu::iommufd
