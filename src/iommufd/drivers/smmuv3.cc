#include "iommufd/drivers/smmuv3.h"

#include <fmt/format.h>

#include "iommufd/drivers/smmuv3_nested.h"
#include "profile/register_field.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

smmuv3::Registers registers_of(Profile const& profile) {
  auto const word = [&](char const* name) { return static_cast<std::uint32_t>(profile.register_value(name)); };
  smmuv3::Registers registers;
  registers.idr0 = word("idr0");
  registers.idr1 = word("idr1");
  registers.idr3 = word("idr3");
  registers.idr5 = word("idr5");
  return registers;
}

}  // namespace

SmmuDriver::SmmuDriver(Profile profile) : ProfiledDriver(std::move(profile)), streams_(std::make_unique<SmmuStreams>()) {}

SmmuDriver::~SmmuDriver() = default;

DeviceCapabilities SmmuDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = ProfiledDriver::usable(device);
  usable.cache_coherent &= smmuv3_field::coherent.of(profile().register_value("idr0")) != 0;
  return usable;
}

bool SmmuDriver::has_viommus(PhysicalDevice const&, std::uint32_t type) const {
  return type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 && profile().makes_viommus(type);
}

Result<std::unique_ptr<DriverViommu>> SmmuDriver::make_viommu(Viommu& viommu, PhysicalDevice const&,
                                                              std::optional<UserData> const&, Caller&) {
  if (&viommu.parent()->driver() != this)
    return fail(EINVAL, fmt::format("HWPT {} was made for another SMMU", viommu.parent()->id()));
  return std::make_unique<SmmuViommu>(viommu, profile().makes_nested(IOMMU_HWPT_DATA_ARM_SMMUV3), registers_of(profile()));
}

Result<std::shared_ptr<Domain>> SmmuDriver::attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                                   Hwpt const* old) {
  return guarded([&]() -> Result<std::shared_ptr<Domain>> {
    if (!pasid) streams_->reserve(device);
    bool const nested = hwpt.type() == ObjectType::hwpt_nested;
    if (nested && (&hwpt.driver() != this || pasid))
      return fail(EINVAL, fmt::format("HWPT {} is on a vIOMMU of another SMMU", hwpt.id()));
    return Driver::attach(device, pasid, hwpt, old);
  });
}

void SmmuDriver::withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&, Hwpt*) noexcept {
  if (!pasid) streams_->forget(device);
}

void SmmuDriver::attached(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept {
  if (pasid) return;
  // Entries without contexts have no events (IHI 0070, 5.2: Config).
  bool const contexts = hwpt.type() == ObjectType::hwpt_nested &&
                        dynamic_cast<SmmuNested const*>(&static_cast<HwptNested&>(hwpt).nested()) != nullptr;
  streams_->set(device, contexts ? static_cast<HwptNested&>(hwpt).viommu() : nullptr);
}

void SmmuDriver::detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&) noexcept {
  if (pasid) return;
  streams_->set(device, nullptr);
  streams_->forget(device);
}

// The event of a fault that blames the stream table entry.
std::uint64_t SmmuDriver::entry_event(FaultRecord const& fault) const {
  auto const pasids_lg2 = smmuv3_field::pasid_bits.of(profile().register_value("idr1"));
  if (bit_field(fault.entry, 63, 59) > pasids_lg2) return 0x04;  // C_BAD_STE: S1CDMax
  return fault.pasid.value_or(0) == 0 ? 0x06 : 0x08;             // F_STREAM_DISABLED: S1DSS; C_BAD_SUBSTREAMID
}

// An event record (7.3), where the guest has a queue for it. What the parent refused is none of the guest's business.
void SmmuDriver::report_fault(PhysicalDevice const& device, FaultRecord const& fault) {
  std::uint64_t id = 0;
  switch (fault.reason) {
    case Reason::not_mapped:
    case Reason::out_of_range: id = 0x10; break;  // F_TRANSLATION
    case Reason::address_size: id = 0x11; break;
    case Reason::access_flag: id = 0x12; break;
    case Reason::permission: id = 0x13; break;
    case Reason::configuration:
      if (fault.entry_address == 0) return;  // F_CD_FETCH, which is not among those that Linux passes on
      id = SmmuNested::is_entry(fault.entry_address) ? entry_event(fault) : 0x0a;  // C_BAD_CD
      break;
    default: return;
  }
  auto const viommu = streams_->viommu_of(device);
  if (!viommu || fault.depth != 0) return;
  auto const stream = viommu->virtual_id(device);
  if (!stream) return;
  iommu_vevent_arm_smmuv3 event{};
  event.evt[0] = id | *stream << 32;
  if (fault.pasid) event.evt[0] |= bit(11) | std::uint64_t{*fault.pasid} << 12;
  if (id >= 0x10) {
    constexpr unsigned reads = 35, class_lg2 = 40, data_class = 2;  // RnW; CLASS = IN
    event.evt[1] = (fault.access.write ? 0 : bit(reads)) | std::uint64_t{data_class} << class_lg2;
    event.evt[2] = fault.iova;
  }
  std::ignore = viommu->report_event(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, std::as_bytes(std::span(&event, 1)));
}

}  // namespace swiommu::iommufd
