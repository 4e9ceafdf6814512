#include "iommufd/selftest/mock_driver.h"

#include "iommufd/hwpt.h"
#include "iommufd/selftest/mock_nested.h"
#include "iommufd/selftest/mock_viommu.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd::selftest {

Result<PagingPlan> MockDriver::plan_paging(PhysicalDevice const& device, std::uint32_t flags, std::optional<UserData> const& data,
                                           Caller* caller) const {
  MockHwptData wanted{};
  if (data && caller != nullptr) {
    if (data->type != mock_hwpt_type && data->type != IOMMU_HWPT_DATA_NONE)
      return fail(EOPNOTSUPP, "data of another type than the mock IOMMU's");
    auto const read = data->read<MockHwptData>(*caller, mock_hwpt_type, least_mock_hwpt_data);
    if (!read) return std::unexpected(read.error());
    wanted = *read;
  }
  if (wanted.table > mock_table_huge) return fail(EOPNOTSUPP, "the mock IOMMU has no such kind of table");
  auto const table = static_cast<MockTable>(wanted.table);
  auto kind = profile().choose_paging(flags, table == mock_table_huge ? PagingUse::huge : PagingUse::usual);
  if (!kind) return std::unexpected(std::move(kind).error());
  if (auto const* const known = state(device)) kind->format.page_sizes |= leaf_sizes_of_flags(table, known->flags);
  return plan_of(*kind);
}

Result<std::unique_ptr<DriverNested>> MockDriver::make_nested_on(std::shared_ptr<Domain> parent, std::uint32_t flags,
                                                                 UserData const& data, Caller& caller) {
  auto nested = MockNested::create(std::move(parent), flags, data, caller);
  if (nested && is_of_6_12(data)) serves_6_12_.store(true, std::memory_order_relaxed);
  return nested;
}

Result<std::unique_ptr<DriverNested>> MockDriver::make_nested(PhysicalDevice const&, HwptPaging& parent, std::uint32_t flags,
                                                              UserData const& data, Caller& caller) {
  return make_nested_on(parent.domain(), flags, data, caller);
}

Result<std::unique_ptr<DriverViommu>> MockDriver::make_viommu(Viommu& viommu, PhysicalDevice const&,
                                                              std::optional<UserData> const& data, Caller& caller) {
  return MockViommu::create(*this, viommu, data, caller);
}

// The vIOMMU behind an HWPT, or behind none, becomes the one that gets the device's events. False: it does not know the device.
bool MockDriver::show(MockDeviceState& state, PhysicalDevice const& device, Hwpt const* hwpt) {
  Viommu* viommu = nullptr;
  std::uint64_t virtual_id = 0;
  if (hwpt != nullptr && hwpt->type() == ObjectType::hwpt_nested) viommu = static_cast<HwptNested const*>(hwpt)->viommu().get();
  if (viommu != nullptr) {
    auto const found = viommu->virtual_id(device);
    if (!found) return false;
    virtual_id = *found;
  }
  state.viommu = viommu;
  state.virtual_id = virtual_id;
  return true;
}

std::shared_ptr<Domain> MockDriver::domain_of(Hwpt& hwpt) {
  if (hwpt.type() == ObjectType::hwpt_paging) return static_cast<HwptPaging&>(hwpt).domain();
  return static_cast<MockNested&>(static_cast<HwptNested&>(hwpt).nested()).domain();
}

Result<std::shared_ptr<Domain>> MockDriver::attach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt& hwpt, Hwpt const*) {
  MockDeviceState passing;  // of a device that nobody added, for whoever has no use for the selftests' operations
  auto* known = state(device);
  if (known == nullptr) known = &passing;
  bool const nested = hwpt.type() == ObjectType::hwpt_nested;
  if (pasid == unlucky_pasid) {
    known->next_attach_fails = !known->next_attach_fails;
    if (!known->next_attach_fails) return fail(ENOMEM, "every second attach of PASID 1024 fails");
  }
  if (!pasid) {
    if (!nested && static_cast<HwptPaging&>(hwpt).can_track_dirty() && (known->flags & mock_no_dirty_tracking) != 0)
      return fail(EINVAL, "the mock device has no dirty tracking, which the HWPT was made with");
    if (!show(*known, device, &hwpt)) return fail(ENOENT, "the device has no vDEVICE in the vIOMMU of the HWPT");
  }
  return domain_of(hwpt);
}

void MockDriver::withdraw(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&, Hwpt* old) noexcept {
  auto* const known = state(device);
  if (known == nullptr) return;
  if (pasid == unlucky_pasid) known->next_attach_fails = false;
  if (!pasid) (void)show(*known, device, old);
}

void MockDriver::detach(PhysicalDevice& device, std::optional<Pasid> pasid, Hwpt&) noexcept {
  auto* const known = state(device);
  if (known == nullptr) return;
  if (pasid == unlucky_pasid) known->next_attach_fails = false;
  if (!pasid) (void)show(*known, device, nullptr);
}

Result<void> MockDriver::add(PhysicalDevice const& device, std::uint32_t flags) {
  return guarded([&]() -> Result<void> {
    auto state = std::make_unique<MockDeviceState>();
    state->flags = flags;
    Lock const lock(mutex_);
    devices_.emplace(&device, std::move(state));
    return {};
  });
}

void MockDriver::remove(PhysicalDevice const& device) noexcept {
  Lock const lock(mutex_);
  devices_.erase(&device);
}

MockDeviceState* MockDriver::state(PhysicalDevice const& device) const {
  Lock const lock(mutex_);
  auto const at = devices_.find(&device);
  return at == devices_.end() ? nullptr : at->second.get();
}

}  // namespace swiommu::iommufd::selftest
