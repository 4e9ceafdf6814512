#include "vfio/interrupt_request.h"

#include <fmt/format.h>

#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"

namespace swiommu::vfio {
namespace {

constexpr std::size_t head_bytes = SWIOMMU_END_OF(vfio_irq_set, count);
constexpr std::uint32_t known_flags = VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK;

Result<InterruptRequest> check(vfio_irq_set const& head, std::uint32_t available) {
  if ((head.flags & ~known_flags) != 0) return fail(EINVAL, fmt::format("there are no flags {:#x}", head.flags & ~known_flags));
  if (head.count >= ~std::uint32_t{0} - head.start || head.start >= available || head.start + head.count > available)
    return fail(EINVAL, fmt::format("interrupts {} to {}+{} of index {}, which has {}", head.start, head.start, head.count,
                                    head.index, available));
  InterruptRequest request;
  request.actions = head.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
  request.index = head.index;
  request.start = head.start;
  request.count = head.count;
  std::size_t bytes = 0;
  switch (head.flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
    case VFIO_IRQ_SET_DATA_NONE: break;
    case VFIO_IRQ_SET_DATA_BOOL:
      request.data = InterruptRequest::Data::bools;
      bytes = sizeof(std::uint8_t);
      break;
    case VFIO_IRQ_SET_DATA_EVENTFD:
      request.data = InterruptRequest::Data::events;
      bytes = sizeof(std::int32_t);
      break;
    default: return fail(EINVAL, "the data are not of exactly one kind");
  }
  if (head.argsz - head_bytes < head.count * bytes)
    return fail(EINVAL, fmt::format("argsz {} has no room for the data of {} interrupts", head.argsz, head.count));
  return request;
}

}  // namespace

Result<InterruptRequest> InterruptRequest::read(iommufd::Caller& caller, std::uint64_t argument,
                                                std::function<std::uint32_t(std::uint32_t index)> const& count_of) {
  vfio_irq_set head{};
  SWIOMMU_TRY(read_argument(caller, argument, head_bytes, head));
  if (head.index >= VFIO_PCI_NUM_IRQS) return fail(EINVAL, fmt::format("there is no index {}", head.index));
  auto request = check(head, count_of(head.index));
  if (!request || request->data == Data::none || request->count == 0) return request;
  if (request->data == Data::bools) {
    std::vector<std::uint8_t> bytes(request->count);
    if (!caller.copy_in(argument + head_bytes, std::as_writable_bytes(std::span(bytes))))
      return fail(EFAULT, "the data cannot be read");
    request->bools.assign(bytes.begin(), bytes.end());
    return request;
  }
  request->descriptors.resize(request->count);
  if (!caller.copy_in(argument + head_bytes, std::as_writable_bytes(std::span(request->descriptors))))
    return fail(EFAULT, "the data cannot be read");
  for (std::int32_t const descriptor : request->descriptors) {
    if (descriptor < 0) {
      request->events.emplace_back();
      continue;
    }
    auto event = EventDescriptor::borrow(caller, descriptor);
    if (!event) {
      request->wrong = std::move(event).error();
      break;
    }
    request->events.push_back(std::move(*event));
  }
  return request;
}

}  // namespace swiommu::vfio
