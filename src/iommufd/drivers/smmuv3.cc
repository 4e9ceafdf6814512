#include "iommufd/drivers/smmuv3.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/drivers/smmuv3_nested.h"
#include "iommufd/hardware_information.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

// Where Linux maps the doorbells of interrupts.
constexpr Range software_msi{0x08000000, 0x080fffff};

constexpr unsigned output_bits[] = {32, 36, 40, 42, 44, 48, 52, 52};  // IDR5.OAS

smmuv3::Registers registers_of(SmmuIdentification const& id) {
  smmuv3::Registers registers;
  registers.idr0 = id.idr[0];
  registers.idr1 = id.idr[1];
  registers.idr3 = id.idr[3];
  registers.idr5 = id.idr[5];
  return registers;
}

SmmuNested& nested_of(Hwpt& hwpt) { return static_cast<SmmuNested&>(static_cast<HwptNested&>(hwpt).nested()); }

}  // namespace

SmmuDriver::SmmuDriver(SmmuIdentification const& identification)
    : id_(identification), streams_(std::make_unique<SmmuStreams>()) {}

SmmuDriver::~SmmuDriver() = default;

std::uint64_t SmmuDriver::field(unsigned n, unsigned high, unsigned low) const { return bit_field(id_.idr[n], high, low); }

// Both stages (IDR0.S1P, S2P), and stage 2 can keep memory cacheable (IDR3.FWB).
bool SmmuDriver::has_nesting() const { return field(0, 1, 0) == 3 && field(3, 8, 8) != 0; }

DeviceCapabilities SmmuDriver::usable(DeviceCapabilities const& device) const {
  DeviceCapabilities usable = device;
  bool const coherent = field(0, 4, 4) != 0;  // IDR0.COHACC
  usable.cache_coherent &= coherent;
  usable.dirty_tracking &= coherent && field(0, 7, 6) >= 2;  // IDR0.HTTU
  usable.set_pasid &= field(0, 1, 1) != 0 && field(1, 10, 6) != 0;
  return usable;
}

std::vector<ReservedRegion> SmmuDriver::reserved() const { return {{software_msi, ReservedRegion::Kind::software_msi}}; }

Result<HardwareInfo> SmmuDriver::hardware_info(PhysicalDevice const&, std::uint32_t type) const {
  iommu_hw_info_arm_smmuv3 info{};
  std::ranges::copy(id_.idr, info.idr);
  info.iidr = id_.iidr;
  info.aidr = id_.aidr;
  return information(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, info, type);
}

Result<PagingPlan> SmmuDriver::plan_paging(PhysicalDevice const&, std::uint32_t flags, std::optional<UserData> const& data,
                                           Caller*) const {
  if (data) return fail(EOPNOTSUPP, "paging HWPTs of the SMMUv3 take no data");
  bool const stage1 = field(0, 1, 1) != 0;
  bool const dirty = (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) != 0;
  bool const parent = (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) != 0;
  if (parent && flags != IOMMU_HWPT_ALLOC_NEST_PARENT)
    return fail(EOPNOTSUPP, "a nesting parent of the SMMUv3 has neither dirty tracking nor PASIDs");
  if (parent && field(0, 1, 0) != 3) return fail(EOPNOTSUPP, "this SMMUv3 has no nested translation");
  if (flags != 0 && !parent && !stage1) return fail(EOPNOTSUPP, "this SMMUv3 has no Arm stage 1 tables, which the flags need");
  unsigned const outputs = output_bits[field(5, 2, 0)];
  // The smallest granule that there is (IDR5.GRAN4K, GRAN16K, GRAN64K).
  unsigned const granule_lg2 = field(5, 4, 4) != 0 ? 12 : field(5, 5, 5) != 0 ? 14 : 16;
  bool const on_stage1 = !parent && stage1;
  unsigned const usual = granule_lg2 == 16 ? 52 : 48;
  PagingPlan plan;
  plan.format = {.format = on_stage1 ? FormatName::arm_stage1 : FormatName::arm_stage2,
                 .granule_lg2 = granule_lg2,
                 .input_bits = on_stage1 ? (field(5, 11, 10) == 1 ? usual : 48) : std::min(outputs, usual),
                 .output_bits = std::min(outputs, usual),
                 .accessed_updates = dirty,
                 .dirty_updates = dirty};
  plan.limits.aperture = {0, low_bits(plan.format.input_bits)};
  plan.enforces_coherency = field(3, 8, 8) != 0;
  return plan;
}

bool SmmuDriver::has_viommus(PhysicalDevice const&, std::uint32_t type) const {
  return has_nesting() && type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
}

Result<std::unique_ptr<DriverViommu>> SmmuDriver::make_viommu(Viommu& viommu, PhysicalDevice const&,
                                                              std::optional<UserData> const&, Caller&) {
  if (&viommu.parent()->driver() != this)
    return fail(EINVAL, fmt::format("HWPT {} was made for another SMMU", viommu.parent()->id()));
  return std::make_unique<SmmuViommu>(viommu, registers_of(id_), *streams_);
}

Result<std::shared_ptr<Domain>> SmmuDriver::attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                                   Hwpt const* old) {
  return guarded([&]() -> Result<std::shared_ptr<Domain>> {
    if (!pasid) streams_->reserve(device);
    if (hwpt.type() != ObjectType::hwpt_nested) return Driver::attach(device, pasid, hwpt, old);
    if (&hwpt.driver() != this || pasid) return fail(EINVAL, fmt::format("HWPT {} is on a vIOMMU of another SMMU", hwpt.id()));
    SmmuNested& nested = nested_of(hwpt);
    switch (nested.way()) {
      case SmmuNested::Way::abort: return BlockingDomain::create(device.device()->host());
      case SmmuNested::Way::bypass: return hwpt.paging().domain();
      case SmmuNested::Way::contexts: break;
    }
    // Events and invalidations need the guest's name for the device.
    auto const stream = static_cast<HwptNested&>(hwpt).viommu()->virtual_id(device);
    if (!stream) return std::unexpected(stream.error());
    return nested.domain();
  });
}

void SmmuDriver::withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&, Hwpt*) noexcept {
  if (!pasid) streams_->forget(device);
}

void SmmuDriver::attached(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept {
  if (pasid) return;
  bool const contexts = hwpt.type() == ObjectType::hwpt_nested && nested_of(hwpt).way() == SmmuNested::Way::contexts;
  streams_->set(device, contexts ? &nested_of(hwpt) : nullptr, contexts ? static_cast<HwptNested&>(hwpt).viommu() : nullptr);
}

void SmmuDriver::detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&) noexcept {
  if (pasid) return;
  streams_->set(device, nullptr, nullptr);
  streams_->forget(device);
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
    case Reason::configuration: id = fault.pasid ? 0x08 : 0x0a; break;  // C_BAD_SUBSTREAMID, C_BAD_CD
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
