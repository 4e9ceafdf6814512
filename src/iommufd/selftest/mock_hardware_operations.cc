// What mock devices and their IOMMU do or hold by themselves.
#include <vector>

#include "iommufd/device_object.h"
#include "iommufd/selftest/mock_nested.h"
#include "iommufd/selftest/operations.h"
#include "iommufd/viommu.h"
#include "swiommu/device/page_request.h"
#include "swiommu/device/port.h"

namespace swiommu::iommufd::selftest {
namespace {

struct FoundDevice {
  std::shared_ptr<DeviceObject> object;
  MockDeviceState* state = nullptr;
};

Result<FoundDevice> find(TestCall const& call, std::uint32_t id) {
  auto object = call.file().objects().find<DeviceObject>(id);
  if (!object) return std::unexpected(std::move(object).error());
  auto* const state = call.driver.state(*(*object)->physical());
  if (state == nullptr) return fail(EINVAL, "the device is no mock device");
  return FoundDevice{std::move(*object), state};
}

Result<void> compare(std::span<std::uint32_t const> held, TestCommand::Cached const& expected) {
  if (expected.entry >= held.size()) return fail(EINVAL, "there is no such entry");
  if (held[expected.entry] != expected.value) return fail(EINVAL, "the entry holds another value");
  return {};
}

}  // namespace

Result<void> trigger_page_request(TestCall const& call) {
  auto const& request = call.arguments().page_request;
  auto const found = find(call, request.device);
  if (!found) return std::unexpected(found.error());
  enum : std::uint32_t { read = 1, write = 2, execute = 4, privileged = 8 };
  PageRequest const reported{.pasid = request.pasid == 0 ? std::nullopt : std::optional(request.pasid),
                             .group = request.group,
                             .last = true,
                             .read = (request.permissions & read) != 0,
                             .write = (request.permissions & write) != 0,
                             .execute = (request.permissions & execute) != 0,
                             .privileged = (request.permissions & privileged) != 0,
                             .iova = request.iova};
  (void)found->object->physical()->report(reported);  // that nobody listens is no error here
  return {};
}

Result<void> trigger_event(TestCall const& call) {
  auto const found = find(call, call.arguments().event_device);
  if (!found) return std::unexpected(found.error());
  MockDeviceState const& state = *found->state;
  if (state.viommu == nullptr || state.virtual_id == 0) return fail(ENOENT, "the device is attached to no vIOMMU's HWPT");
  MockEvent const event{static_cast<std::uint32_t>(state.virtual_id)};
  return state.viommu->report_event(mock_event_type, std::as_bytes(std::span(&event, 1)));
}

Result<void> check_iotlb(TestCall const& call) {
  auto const hwpt = call.file().objects().find<HwptNested>(call.arguments().id);
  if (!hwpt) return std::unexpected(hwpt.error());
  auto const* const nested = dynamic_cast<MockNested const*>(&(*hwpt)->nested());
  if (nested == nullptr) return fail(EINVAL, "the HWPT is none of the mock IOMMU");
  return compare(nested->iotlb(), call.arguments().cached);
}

Result<void> check_device_cache(TestCall const& call) {
  auto const found = find(call, call.arguments().id);
  if (!found) return std::unexpected(found.error());
  return compare(found->state->cache, call.arguments().cached);
}

// Writes as a device would: the walk that translates for it sets the dirty bits, whatever is written then. Where nothing is
// mapped the device would meet a fault.
Result<void> dirty(TestCall const& call) {
  auto& arguments = call.arguments().dirty;
  auto const [flags, iova, length, page_size, address, count] = arguments;
  if (page_size == 0 || length == 0 || iova % page_size != 0 || length % page_size != 0 || address == 0)
    return fail(EINVAL, "iova and length must be multiples of the page size, and no value 0");
  std::uint64_t const pages = length / page_size, most = std::uint64_t{8} << 24;
  if (pages > most) return fail(EOVERFLOW, "too many pages");
  auto const hwpt = call.file().objects().find<HwptPaging>(call.arguments().id);
  if (!hwpt) return std::unexpected(hwpt.error());
  if (!(*hwpt)->tracks_dirty()) return fail(EINVAL, "dirty tracking is not on");
  std::vector<std::uint8_t> bits((pages + 7) / 8);
  if (!call.caller().copy_in(address, std::as_writable_bytes(std::span(bits)))) return fail(EFAULT, "the bitmap cannot be read");

  auto const writer = Device::create(call.file().engine().host());
  if (!writer) return std::unexpected(writer.error());
  auto const port = (*writer)->open_port();
  if (!port) return std::unexpected(port.error());
  SWIOMMU_TRY((*writer)->attach((*hwpt)->domain()));
  arguments.out_count = 0;
  for (std::uint64_t page = 0; page < pages; page++) {
    if ((bits[page / 8] >> (page % 8) & 1) == 0) continue;
    Port::Guard const guard(**port);
    (void)(*port)->translate(guard, Iova(iova + page * page_size), Access::writing());
    arguments.out_count++;
  }
  SWIOMMU_TRY((*writer)->detach());
  return call.command.respond();
}

}  // namespace swiommu::iommufd::selftest
