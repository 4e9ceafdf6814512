// What a profile says of an IOMMU, and what is therefore the same for all hardware. What differs, nested domains above all, is in
// the classes derived from this one.
#pragma once
#include "iommufd/driver.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd {

class ProfiledDriver : public Driver {
 public:
  // A sound profile.
  explicit ProfiledDriver(Profile profile) : profile_(std::move(profile)) {}

  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] std::vector<ReservedIovas> reserved() const override { return profile_.reserved; }
  Result<HardwareInfo> hardware_info(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;
  [[nodiscard]] bool nests_raw() const override;

 protected:
  [[nodiscard]] Profile const& profile() const { return profile_; }
  static PagingPlan plan_of(PagingKind const& kind);

 private:
  Profile const profile_;
};

}  // namespace swiommu::iommufd
