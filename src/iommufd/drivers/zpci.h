// s390 zPCI: paging HWPTs, and nothing else, as Linux 7.2 has it.
#pragma once
#include "iommufd/driver.h"

namespace swiommu::iommufd {

class ZpciDriver final : public Driver {
 public:
  // The DMA range of the functions: iovas outside are reserved.
  explicit ZpciDriver(Range dma) : dma_(dma) {}

  [[nodiscard]] std::string_view kind() const override { return "s390 zPCI"; }
  [[nodiscard]] DeviceCapabilities usable(DeviceCapabilities const& device) const override;
  [[nodiscard]] std::vector<ReservedRegion> reserved() const override;
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;

 private:
  Range const dma_;
};

}  // namespace swiommu::iommufd
