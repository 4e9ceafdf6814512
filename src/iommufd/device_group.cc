#include "iommufd/device_group.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/page_requests.h"

namespace swiommu::iommufd {
namespace {

// A PASID is attached for those devices only that have PASIDs.
bool takes_part(PhysicalDevice const& device, std::optional<Pasid> pasid) { return !pasid || device.pasids() != 0; }

}  // namespace

bool DeviceGroup::Attach::holds(DeviceObject const& device) const {
  return std::ranges::find(devices, &device, &Device::object) != devices.end();
}

Result<void> DeviceGroup::claim(File const& file) {
  Lock const lock(mutex_);
  if (bound_ != 0 && owner_ != &file)
    return fail(EBUSY, "the device, or another one of its group, belongs to another /dev/iommu");
  owner_ = &file;
  bound_++;
  return {};
}

void DeviceGroup::release() noexcept {
  Lock const lock(mutex_);
  bound_--;
}

Result<void> DeviceGroup::add_member(PhysicalDevice& device) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    members_.push_back(&device);
    return {};
  });
}

void DeviceGroup::remove_member(PhysicalDevice& device) noexcept {
  Lock const lock(mutex_);
  std::erase(members_, &device);
}

Result<void> DeviceGroup::check(std::optional<Pasid> pasid, Hwpt const& to) const {
  for (PhysicalDevice const* const member : members_) {
    if (member->driver()->kind() != to.driver().kind())
      return fail(EINVAL, fmt::format("HWPT {} was made for {}, and the device is behind {}", to.id(), to.driver().kind(),
                                      member->driver()->kind()));
    if (pasid && !member->capabilities().set_pasid) return fail(EOPNOTSUPP, "PASIDs of this hardware cannot be attached");
    if (pasid && member->pasids() != 0 && *pasid >= member->pasids())
      return fail(EINVAL, fmt::format("the device has {} PASIDs, and {} is beyond them", member->pasids(), *pasid));
  }
  if (pasid && std::ranges::none_of(members_, [](auto* member) { return member->pasids() != 0; }))
    return fail(EINVAL, "the device has no PASIDs");
  return {};
}

Result<void> DeviceGroup::change(std::optional<Pasid> pasid, Hwpt& to, Hwpt* from,
                                 std::shared_ptr<FaultHandle const> const& handle) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    SWIOMMU_TRY(check(pasid, to));
    std::vector<PageRequests::Place> places;
    std::vector<Device::Change> changes;
    places.reserve(members_.size());
    changes.reserve(members_.size());
    std::size_t asked = 0;
    auto const prepare = [&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS -> Result<void> {
      for (PhysicalDevice* const member : members_) {
        if (takes_part(*member, pasid)) {
          auto domain = member->driver()->attach(*member, pasid, to, from);
          if (!domain) return std::unexpected(std::move(domain).error());
          asked++;
          places.push_back(member->page_requests().reserve(pasid));
          auto change = member->device()->prepare(std::move(*domain), pasid);
          if (!change) return std::unexpected(std::move(change).error());
          changes.push_back(std::move(*change));
        } else {
          asked++;
        }
      }
      return {};
    };
    if (auto prepared = guarded(prepare); !prepared) {
      while (asked-- > 0)
        if (PhysicalDevice& member = *members_[asked]; takes_part(member, pasid))
          member.driver()->withdraw(member, pasid, to, from);
      return prepared;
    }
    for (auto& change : changes) change.commit();
    for (auto& place : places) place.fill(handle);
    for (PhysicalDevice* const member : members_)
      if (takes_part(*member, pasid)) member->driver()->attached(*member, pasid, to);
    return {};
  });
}

void DeviceGroup::detach(std::optional<Pasid> pasid, Hwpt& from) noexcept {
  Lock const lock(mutex_);
  for (PhysicalDevice* const member : members_) {
    if (!takes_part(*member, pasid)) continue;
    std::ignore = member->device()->detach(pasid);  // this thread holds no guard, and it is attached
    member->page_requests().clear(pasid);
    member->driver()->detach(*member, pasid, from);
  }
}

}  // namespace swiommu::iommufd
