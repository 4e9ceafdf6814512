// Arm SMMUv3: paging HWPTs of Arm stage 1 and Arm stage 2 tables, vIOMMUs, and nested HWPTs on them: the first two words of a
// guest's stream table entry (IHI 0070, 5.2).
#pragma once
#include "iommufd/drivers/profiled.h"

namespace swiommu::iommufd {

class SmmuStreams;

class SmmuDriver final : public ProfiledDriver {
 public:
  explicit SmmuDriver(Profile profile);
  ~SmmuDriver() override;

  [[nodiscard]] std::string_view kind() const override { return "Arm SMMUv3"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] bool has_viommus(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const& device,
                                                    std::optional<UserData> const& data, Caller& caller) override;
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                         Hwpt const* old) override;
  void withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt, Hwpt* old) noexcept override;
  void attached(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept override;
  void detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept override;
  [[nodiscard]] bool has_user_pasid_tables() const override { return true; }
  void report_fault(PhysicalDevice const& device, FaultRecord const& fault) override;

 private:
  [[nodiscard]] std::uint64_t entry_event(FaultRecord const& fault) const;
  std::unique_ptr<SmmuStreams> const streams_;
};

}  // namespace swiommu::iommufd
