// Mock devices, and what they are attached to.
#include "iommufd/device_object.h"
#include "iommufd/selftest/mock_device.h"
#include "iommufd/selftest/operations.h"

namespace swiommu::iommufd::selftest {
namespace {

Result<std::shared_ptr<MockDevice>> find(TestCall const& call) {
  return call.file().objects().find<MockDevice>(call.arguments().id);
}

}  // namespace

Result<void> mock_domain(TestCall const& call) {
  TestCommand& arguments = call.arguments();
  bool const has_flags = arguments.operation == TestOperation::mock_domain_flags;
  auto mock = MockDevice::create(call.file(), call.file().engine().mock_driver(), has_flags ? arguments.mock_domain.flags : 0);
  if (!mock) return std::unexpected(std::move(mock).error());
  // The id of the mock device comes before the device's own and that of an automatic HWPT.
  auto added = call.file().objects().add(*mock);
  if (!added) return std::unexpected(std::move(added).error());
  SWIOMMU_TRY((*mock)->bind(call.file()));
  std::uint32_t pt_id = arguments.id;
  SWIOMMU_TRY((*mock)->device().attach(pt_id, std::nullopt));
  arguments.mock_domain.out_stdev_id = added->id();
  arguments.mock_domain.out_hwpt_id = pt_id;
  arguments.mock_domain.out_idev_id = (*mock)->device().id();
  return call.command.publish(std::move(*added));
}

Result<void> mock_domain_replace(TestCall const& call) {
  auto const mock = find(call);
  if (!mock) return std::unexpected(mock.error());
  SWIOMMU_TRY((*mock)->device().replace(call.arguments().replace_pt_id, std::nullopt));
  return call.command.respond();
}

Result<void> pasid_attach(TestCall const& call) {
  auto const mock = find(call);
  if (!mock) return std::unexpected(mock.error());
  auto& [pasid, pt_id] = call.arguments().pasid;
  DeviceObject& device = (*mock)->device();
  SWIOMMU_TRY(device.attach(pt_id, pasid));
  auto responded = call.command.respond();
  if (!responded) device.detach(pasid);
  return responded;
}

Result<void> pasid_replace(TestCall const& call) {
  auto const mock = find(call);
  if (!mock) return std::unexpected(mock.error());
  auto& [pasid, pt_id] = call.arguments().pasid;
  SWIOMMU_TRY((*mock)->device().replace(pt_id, pasid));
  return call.command.respond();
}

Result<void> pasid_detach(TestCall const& call) {
  auto const mock = find(call);
  if (!mock) return std::unexpected(mock.error());
  (*mock)->device().detach(call.arguments().pasid.pasid);
  return {};
}

// Asks the device that does the DMA, not the objects above it.
Result<void> pasid_check(TestCall const& call) {
  auto const mock = find(call);
  if (!mock) return std::unexpected(mock.error());
  auto const [pasid, hwpt_id] = call.arguments().pasid;
  auto const attached = (*mock)->physical()->device()->domain(pasid);
  if (hwpt_id == 0) {
    if (!attached) return {};
    return fail(EINVAL, "the PASID is attached");
  }
  auto const object = call.file().objects().lookup(hwpt_id);
  if (!object) return fail(ENOENT, "there is no such HWPT");
  if (object->type() != ObjectType::hwpt_paging && object->type() != ObjectType::hwpt_nested)
    return fail(EINVAL, "the object is no HWPT");
  if (attached != MockDriver::domain_of(static_cast<Hwpt&>(*object)))
    return fail(EINVAL, "the PASID is attached to something else, or to nothing");
  return {};
}

}  // namespace swiommu::iommufd::selftest
