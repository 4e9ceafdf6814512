// Intel VT-d: paging HWPTs of VT-d first-stage and VT-d second-stage tables, and nested ones (IOMMU_HWPT_DATA_VTD_S1).
//
// What Linux' driver makes of the same registers: "Intel Virtualization Technology for Directed I/O", 11.4.2 and 11.4.3.
#pragma once
#include "iommufd/driver.h"
#include "swiommu/hardware/vtd.h"

namespace swiommu::iommufd {

class VtdDriver final : public Driver {
 public:
  // Of the registers CAP and ECAP, and the host's address width.
  explicit VtdDriver(vtd::Registers const& registers);

  [[nodiscard]] std::string_view kind() const override { return "Intel VT-d"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] std::vector<ReservedRegion> reserved() const override;
  Result<HardwareInfo> hardware_info(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;
  [[nodiscard]] bool nests() const override { return true; }
  Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const& device, HwptPaging& parent, std::uint32_t flags,
                                                    UserData const& data, Caller& caller) override;
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                         Hwpt const* old) override;

 private:
  [[nodiscard]] bool has(unsigned bit_of_ecap) const { return (ecap_ >> bit_of_ecap & 1) != 0; }
  [[nodiscard]] bool scalable() const;
  [[nodiscard]] Result<PagingPlan> plan_first_stage(std::uint32_t flags) const;
  [[nodiscard]] Result<PagingPlan> plan_second_stage(std::uint32_t flags) const;

  std::uint64_t const cap_;
  std::uint64_t const ecap_;
  unsigned const host_address_width_;
};

}  // namespace swiommu::iommufd
