// The IOMMU of the kernel's selftests.
#pragma once
#include <array>
#include <atomic>
#include <map>
#include <memory>

#include "iommufd/drivers/profiled.h"
#include "iommufd/selftest/kernel_version.h"
#include "iommufd/selftest/mock_hardware.h"
#include "swiommu/base/mutex.h"

namespace swiommu::iommufd::selftest {

// What the IOMMU knows of a device. Guarded by the mutex of the file that the device is bound to.
struct MockDeviceState {
  std::uint32_t flags = 0;
  std::array<std::uint32_t, mock_cache_entries> cache{mock_cache_at_first, mock_cache_at_first, mock_cache_at_first,
                                                      mock_cache_at_first};
  bool next_attach_fails = false;  // of unlucky_pasid
  // Of the nested HWPT that the device is attached to, and its virtual id there; nullptr if there is none.
  Viommu* viommu = nullptr;
  std::uint64_t virtual_id = 0;
};

class MockDriver final : public ProfiledDriver {
 public:
  using ProfiledDriver::ProfiledDriver;

  std::string_view kind() const override { return "mock"; }
  Result<PagingPlan> plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                 Caller* caller) const override;
  bool nests() const override { return profile().makes_nested(mock_hwpt_type); }
  Result<std::unique_ptr<DriverNested>> make_nested(PhysicalDevice const& device, HwptPaging& parent, std::uint32_t flags,
                                                    UserData const& data, Caller& caller) override;
  bool has_viommus(PhysicalDevice const&, std::uint32_t type) const override { return profile().makes_viommus(type); }
  Result<std::unique_ptr<DriverViommu>> make_viommu(Viommu& viommu, PhysicalDevice const& device,
                                                    std::optional<UserData> const& data, Caller& caller) override;
  Result<std::shared_ptr<Domain>> attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt,
                                         Hwpt const* old) override;
  void withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt, Hwpt* old) noexcept override;
  void detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt) noexcept override;
  int invalidation_refusal() const override { return invalidation_refusal_of(serves_6_12_.load(std::memory_order_relaxed)); }
  bool has_user_pasid_tables() const override { return true; }

  // Of DriverNested, for HWPTs and vIOMMUs alike.
  Result<std::unique_ptr<DriverNested>> make_nested_on(std::shared_ptr<Domain> parent, std::uint32_t flags, UserData const& data,
                                                       Caller& caller);

  // What DMA goes through that is attached to the HWPT, which is one of this IOMMU.
  static std::shared_ptr<Domain> domain_of(Hwpt& hwpt);

  // Devices come with add() and go with remove(). ENOMEM.
  Result<void> add(PhysicalDevice const& device, std::uint32_t flags);
  void remove(PhysicalDevice const& device) noexcept;
  // nullptr: no device of this IOMMU.
  [[nodiscard]] MockDeviceState* state(PhysicalDevice const& device) const;

  std::uint32_t next_requester_id() { return requester_ids_.fetch_add(1, std::memory_order_relaxed); }

 private:
  static bool show(MockDeviceState& state, PhysicalDevice const& device, Hwpt const* hwpt);

  std::atomic<std::uint32_t> requester_ids_ = 0;
  std::atomic<bool> serves_6_12_ = false;  // a program of Linux 6.12 has been seen
  mutable Mutex mutex_;
  std::map<PhysicalDevice const*, std::unique_ptr<MockDeviceState>> devices_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd::selftest
