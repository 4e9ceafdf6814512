// The argument of VFIO_DEVICE_SET_IRQS, copied in and checked.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/iommufd/caller.h"
#include "vfio/event_descriptor.h"

namespace swiommu::vfio {

struct InterruptRequest {
  enum class Data : std::uint8_t { none, bools, events };
  std::uint32_t actions = 0;  // VFIO_IRQ_SET_ACTION_...
  Data data = Data::none;
  std::uint32_t index = 0, start = 0, count = 0;
  std::vector<bool> bools;
  std::vector<std::int32_t> descriptors;  // as the caller wrote them; negative: none
  std::vector<EventDescriptor> events;    // those of `descriptors`, up to the first one that is wrong
  std::optional<Error> wrong;             // why

  // Of loopback: is interrupt `n` of the request meant?
  [[nodiscard]] bool chooses(std::uint32_t n) const { return data == Data::none || bools[n]; }

  // `count_of(index)`: how many interrupts there are. EFAULT. EINVAL: argsz is too short, for the data too; there is no such
  // index, or interrupt; unknown flags; not exactly one kind of data. ENOMEM.
  static Result<InterruptRequest> read(iommufd::Caller& caller, std::uint64_t argument,
                                       std::function<std::uint32_t(std::uint32_t index)> const& count_of);
};

}  // namespace swiommu::vfio
