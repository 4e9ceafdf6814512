// VIOMMU_ALLOC, VDEVICE_ALLOC, VEVENTQ_ALLOC, HW_QUEUE_ALLOC and FAULT_QUEUE_ALLOC.
#include <fmt/format.h>

#include "iommufd/commands.h"
#include "iommufd/device_object.h"
#include "iommufd/event_queue.h"
#include "iommufd/fault_queue.h"
#include "iommufd/hw_queue.h"
#include "iommufd/queue_file.h"
#include "iommufd/viommu.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t deepest_event_queue = 1 << 19;

}  // namespace

Result<void> fault_queue_alloc(Command<iommu_fault_alloc> const& command) {
  auto& arguments = command.arguments;
  if (arguments.flags != 0) return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  auto queue = std::make_shared<FaultQueue>();
  auto added = command.file.objects().add(queue);
  if (!added) return std::unexpected(std::move(added).error());
  arguments.out_fault_id = added->id();
  return give_descriptor(command.file, command.caller, std::move(queue), [&](int descriptor) {
    arguments.out_fault_fd = static_cast<std::uint32_t>(descriptor);
    return command.publish(std::move(*added));
  });
}

Result<void> viommu_alloc(Command<iommu_viommu_alloc> const& command) {
  auto& arguments = command.arguments;
  if (arguments.flags != 0) return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  if (arguments.type == IOMMU_VIOMMU_TYPE_DEFAULT) return fail(EOPNOTSUPP, "a vIOMMU needs a type");
  auto const device = command.file.objects().find<DeviceObject>(arguments.dev_id);
  if (!device) return std::unexpected(device.error());
  PhysicalDevice const& physical = *(*device)->physical();
  auto const& driver = physical.driver();
  if (!driver->has_viommus(physical, arguments.type))
    return fail(EOPNOTSUPP, fmt::format("{} has no vIOMMUs of type {:#x}", driver->kind(), arguments.type));
  auto const parent = command.file.objects().find<HwptPaging>(arguments.hwpt_id);
  if (!parent) return std::unexpected(parent.error());
  if (!(*parent)->nest_parent())
    return fail(EINVAL, fmt::format("HWPT {} was made without IOMMU_HWPT_ALLOC_NEST_PARENT", arguments.hwpt_id));
  auto const viommu = std::make_shared<Viommu>(command.file, arguments.type, *parent, driver);
  auto added = command.file.objects().add(viommu);
  if (!added) return std::unexpected(std::move(added).error());
  UserData const data{arguments.type, arguments.data_uptr, arguments.data_len};
  auto half = driver->make_viommu(*viommu, physical, data.length == 0 ? std::nullopt : std::optional(data), command.caller);
  if (!half) return std::unexpected(std::move(half).error());
  viommu->set_half(std::move(*half));
  arguments.out_viommu_id = added->id();
  return command.publish(std::move(*added));
}

Result<void> vdevice_alloc(Command<iommu_vdevice_alloc> const& command) {
  auto& arguments = command.arguments;
  auto const viommu = command.file.objects().find<Viommu>(arguments.viommu_id);
  if (!viommu) return std::unexpected(viommu.error());
  auto const device = command.file.objects().find<DeviceObject>(arguments.dev_id);
  if (!device) return std::unexpected(device.error());
  if ((*viommu)->driver() != (*device)->physical()->driver())
    return fail(EINVAL, fmt::format("vIOMMU {} is part of another IOMMU than that of the device", arguments.viommu_id));
  if ((*device)->vdevice() != nullptr)
    return fail(EEXIST, fmt::format("device {} has a vDEVICE already, {}", arguments.dev_id, (*device)->vdevice()->id()));
  auto const vdevice = std::make_shared<Vdevice>(*viommu, **device, arguments.virt_id);
  auto added = command.file.objects().add(vdevice);
  if (!added) return std::unexpected(std::move(added).error());
  SWIOMMU_TRY(vdevice->join());
  arguments.out_vdevice_id = added->id();
  return command.publish(std::move(*added));
}

Result<void> veventq_alloc(Command<iommu_veventq_alloc> const& command) {
  auto& arguments = command.arguments;
  if (arguments.flags != 0) return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  if (arguments.type == IOMMU_VEVENTQ_TYPE_DEFAULT) return fail(EOPNOTSUPP, "an event queue needs a type");
  if (arguments.veventq_depth == 0 || arguments.veventq_depth > deepest_event_queue)
    return fail(EINVAL, fmt::format("a depth of {} events, and {} are the most", arguments.veventq_depth, deepest_event_queue));
  auto const viommu = command.file.objects().find<Viommu>(arguments.viommu_id);
  if (!viommu) return std::unexpected(viommu.error());
  if ((*viommu)->event_queue(arguments.type))
    return fail(EEXIST, fmt::format("vIOMMU {} has an event queue of type {:#x} already", arguments.viommu_id, arguments.type));
  auto queue = std::make_shared<EventQueue>(*viommu, arguments.type, arguments.veventq_depth);
  auto added = command.file.objects().add(queue);
  if (!added) return std::unexpected(std::move(added).error());
  SWIOMMU_TRY(queue->join(queue));
  arguments.out_veventq_id = added->id();
  return give_descriptor(command.file, command.caller, std::move(queue), [&](int descriptor) {
    arguments.out_veventq_fd = static_cast<std::uint32_t>(descriptor);
    return command.publish(std::move(*added));
  });
}

Result<void> hw_queue_alloc(Command<iommu_hw_queue_alloc> const& command) {
  auto& arguments = command.arguments;
  if (arguments.flags != 0) return fail(EOPNOTSUPP, fmt::format("unknown flags {:#x}", arguments.flags));
  if (arguments.type == IOMMU_HW_QUEUE_TYPE_DEFAULT) return fail(EOPNOTSUPP, "a HW queue needs a type");
  if (arguments.length == 0) return fail(EINVAL, "a queue of 0 bytes");
  auto const iovas = Range::of_length(arguments.nesting_parent_iova, arguments.length);
  if (!iovas)
    return fail(EOVERFLOW,
                fmt::format("{:#x} bytes at iova {:#x} leave the 64-bit space", arguments.length, arguments.nesting_parent_iova));
  auto const viommu = command.file.objects().find<Viommu>(arguments.viommu_id);
  if (!viommu) return std::unexpected(viommu.error());
  DriverViommu& half = (*viommu)->half();
  if (!half.has_hw_queues(arguments.type))
    return fail(EOPNOTSUPP, fmt::format("vIOMMU {} has no HW queues of type {:#x}", arguments.viommu_id, arguments.type));
  auto const queue = std::make_shared<HwQueue>(*viommu, arguments.type, arguments.index, *iovas);
  auto added = command.file.objects().add(queue);
  if (!added) return std::unexpected(std::move(added).error());
  auto const address = queue->pin();
  if (!address) return std::unexpected(address.error());
  auto hardware = half.make_hw_queue(queue, *address);
  if (!hardware) return std::unexpected(std::move(hardware).error());
  queue->set_half(std::move(*hardware));
  arguments.out_hw_queue_id = added->id();
  return command.publish(std::move(*added));
}

}  // namespace swiommu::iommufd
