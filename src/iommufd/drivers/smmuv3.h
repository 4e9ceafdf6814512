// Arm SMMUv3: paging HWPTs of Arm stage 1 and Arm stage 2 tables, vIOMMUs, and nested HWPTs on them: the first two words of a
// guest's stream table entry (IHI 0070, 5.2).
#pragma once
#include <map>

#include "iommufd/driver.h"
#include "swiommu/base/mutex.h"
#include "swiommu/hardware/smmuv3.h"

namespace swiommu::iommufd {

class SmmuStreams;

// What the ID registers say.
struct SmmuIdentification {
  std::uint32_t idr[6] = {};
  std::uint32_t iidr = 0;
  std::uint32_t aidr = 0;
};

class SmmuDriver final : public Driver {
 public:
  explicit SmmuDriver(SmmuIdentification const& identification);
  ~SmmuDriver() override;

  [[nodiscard]] std::string_view kind() const override { return "Arm SMMUv3"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] std::vector<ReservedRegion> reserved() const override;
  Result<HardwareInfo> hardware_info(PhysicalDevice const& device, std::uint32_t type) const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;
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
  [[nodiscard]] bool nests() const override { return false; }  // on paging HWPTs
  [[nodiscard]] std::uint64_t field(unsigned n, unsigned high, unsigned low) const;
  [[nodiscard]] bool has_nesting() const;

  SmmuIdentification const id_;
  std::unique_ptr<SmmuStreams> const streams_;
};

}  // namespace swiommu::iommufd
