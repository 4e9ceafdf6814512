// The vIOMMU of the mock IOMMU: a memory that shows what it was made with, caches of its devices, two queues that are made in
// order.
#pragma once
#include <array>
#include <memory>

#include "iommufd/driver.h"
#include "iommufd/selftest/mock_hardware.h"
#include "iommufd/viommu.h"

namespace swiommu::iommufd::selftest {

class MockDriver;

// Mutex of the vIOMMU's file held.
class MockViommu final : public DriverViommu {
 public:
  // Without data there is no memory. EINVAL, EFAULT: the data; ENOMEM.
  static Result<std::unique_ptr<MockViommu>> create(MockDriver& driver, Viommu& viommu, std::optional<UserData> const& data,
                                                    Caller& caller);

  bool nests() const override;
  Result<std::unique_ptr<DriverNested>> make_nested(std::uint32_t flags, UserData const& data, Caller& caller) override;

  bool invalidates() const override { return true; }
  // Of the caches of devices.
  Result<void> invalidate(InvalidationArray& entries) override;

  bool has_hw_queues(std::uint32_t type) const override { return type == mock_hw_queue_type; }
  Result<std::unique_ptr<DriverHwQueue>> make_hw_queue(std::shared_ptr<HwQueue> queue, HostAddress address) override;

 private:
  class Queue;
  MockViommu(MockDriver& driver, Viommu& viommu) : driver_(driver), viommu_(viommu) {}
  Result<void> make_memory(UserData const& data, Caller& caller);

  MockDriver& driver_;
  Viommu& viommu_;
  Descriptor memory_;
  std::array<std::weak_ptr<HwQueue>, mock_hw_queues> queues_;
};

}  // namespace swiommu::iommufd::selftest
