#include "iommufd/device_object.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sabotage.h"
#include "iommufd/device_group.h"
#include "iommufd/file.h"
#include "iommufd/ioas.h"
#include "iommufd/viommu.h"

namespace swiommu::iommufd {
namespace {

// PASID 0 is the device itself, to Linux.
std::optional<Pasid> normal(std::optional<Pasid> pasid) { return pasid == Pasid{0} ? std::nullopt : pasid; }

std::string name_of(std::optional<Pasid> pasid) { return pasid ? fmt::format("PASID {} of the device", *pasid) : "the device"; }

}  // namespace

Result<std::shared_ptr<DeviceObject>> DeviceObject::bind(File& file, std::shared_ptr<PhysicalDevice> device) {
  if (!device->capabilities().cache_coherent) return fail(EINVAL, "DMA of the device is not coherent with caches");
  if (!device->capabilities().isolated_interrupts) return fail(EPERM, "interrupts of the device cannot be isolated");
  return guarded([&]() -> Result<std::shared_ptr<DeviceObject>> {
    std::shared_ptr<DeviceObject> object(new DeviceObject(file, std::move(device)));
    SWIOMMU_TRY(object->physical_->group()->claim(file));
    object->claimed_ = true;
    auto added = file.objects().add(object);
    if (!added) return std::unexpected(std::move(added).error());
    object->driver_ = Use<DeviceObject>(object);
    added->publish();
    return object;
  });
}

void DeviceObject::unbind() noexcept {
  if (!driver_) return;
  if (vdevice_ != nullptr) file_.objects().remove(*vdevice_, true);
  DeviceGroup::Attaches& attaches = physical_->group()->attaches();
  for (auto at = attaches.begin(); at != attaches.end();) {
    auto const pasid = at->first;
    ++at;
    detach(pasid);
  }
  file_.objects().remove(*this);
  auto const last = std::move(driver_);
}

DeviceObject::~DeviceObject() {
  if (claimed_) physical_->group()->release();
}

std::shared_ptr<Hwpt> DeviceObject::attached(std::optional<Pasid> pasid) const {
  auto const& attaches = physical_->group()->attaches();
  auto const at = attaches.find(normal(pasid));
  return at != attaches.end() && at->second.holds(*this) ? at->second.hwpt : nullptr;
}

Result<void> DeviceObject::attach(std::uint32_t& pt_id, std::optional<Pasid> pasid) {
  return change(pt_id, normal(pasid), Way::attach);
}

Result<void> DeviceObject::replace(std::uint32_t& pt_id, std::optional<Pasid> pasid) {
  return change(pt_id, normal(pasid), Way::replace);
}

Result<void> DeviceObject::change(std::uint32_t& pt_id, std::optional<Pasid> pasid, Way way) {
  return guarded([&]() -> Result<void> {
    auto const object = file_.objects().lookup(pt_id);
    if (!object) return fail(ENOENT, fmt::format("there is no object {} to attach to", pt_id));
    switch (object->type()) {
      case ObjectType::ioas: return change_to_automatic(std::static_pointer_cast<Ioas>(object), pt_id, pasid, way);
      case ObjectType::hwpt_paging:
      case ObjectType::hwpt_nested: return change_to(std::static_pointer_cast<Hwpt>(object), pasid, way);
      default:
        return fail(EINVAL,
                    fmt::format("object {} is a {}, and devices attach to IOASes and HWPTs", pt_id, name(object->type())));
    }
  });
}

Result<void> DeviceObject::change_to(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid, Way way) {
  return way == Way::attach ? attach_to(hwpt, pasid) : replace_by(hwpt, pasid);
}

// Any automatic HWPT of the IOAS that fits will do, or a new one.
Result<void> DeviceObject::change_to_automatic(std::shared_ptr<Ioas> const& ioas, std::uint32_t& pt_id,
                                               std::optional<Pasid> pasid, Way way) {
  for (HwptPaging const* const known : ioas->hwpts()) {
    if (!known->automatic()) continue;
    auto const hwpt = std::static_pointer_cast<Hwpt>(file_.objects().lookup(known->id()));
    auto changed = change_to(hwpt, pasid, way);
    if (changed) pt_id = hwpt->id();
    // EINVAL: not this one.
    if (changed || changed.error().code != EINVAL) return changed;
  }
  auto hwpt = HwptPaging::create(ioas, *physical_, 0, std::nullopt, nullptr);
  if (!hwpt) return std::unexpected(std::move(hwpt).error());
  auto added = file_.objects().add(*hwpt);
  if (!added) return std::unexpected(std::move(added).error());
  if (way == Way::replace) {
    SWIOMMU_TRY((*hwpt)->fill());
    SWIOMMU_TRY(replace_by(*hwpt, pasid));
  } else {
    // Attached before it is filled, as Linux does: of two errors the one of the device comes first.
    SWIOMMU_TRY(attach_to(*hwpt, pasid));
    if (auto filled = (*hwpt)->fill(); !filled) {
      detach(pasid);
      return filled;
    }
  }
  (*hwpt)->set_automatic();
  pt_id = (*hwpt)->id();
  added->publish();
  return {};
}

// May what is attached to `hwpt` be attached beside the other PASIDs of the device, and the device itself?
Result<void> DeviceObject::check_fit(Hwpt const& hwpt, std::optional<Pasid> pasid) const {
  auto const& capabilities = physical_->capabilities();
  if (hwpt.fault_queue() && capabilities.virtual_function && capabilities.page_requests)
    return fail(EINVAL, "page requests of virtual functions are shared with others, and cannot be given to a fault queue");
  auto const& attaches = physical_->group()->attaches();
  if (!pasid) {
    bool const has_pasids = !attaches.empty() && std::prev(attaches.end())->first.has_value();
    if (!hwpt.pasid_compatible() && has_pasids)
      return fail(EINVAL, fmt::format("HWPT {} was made without IOMMU_HWPT_ALLOC_PASID, and PASIDs of the device are attached",
                                      hwpt.id()));
    return {};
  }
  if (!hwpt.pasid_compatible()) return fail(EINVAL, fmt::format("HWPT {} was made without IOMMU_HWPT_ALLOC_PASID", hwpt.id()));
  auto const self = attaches.find(std::nullopt);
  if (self != attaches.end() && !self->second.hwpt->pasid_compatible())
    return fail(EINVAL, fmt::format("the device itself is attached to HWPT {}, made without IOMMU_HWPT_ALLOC_PASID",
                                    self->second.hwpt->id()));
  return {};
}

// Its iovas are reserved where it is attached itself, not for its PASIDs.
Result<void> DeviceObject::reserve(Ioas* ioas) const {
  if (ioas == nullptr) return {};
  std::vector<Range> ranges;
  for (ReservedIovas const& region : physical_->reserved())
    if (region.kind != ReservedIovas::Kind::direct_relaxable) ranges.push_back(region.iovas);
  if (ranges.empty()) return {};
  return ioas->space().reserve(ranges, this);
}

void DeviceObject::release(Ioas* ioas) const noexcept {
  if (ioas != nullptr) std::ignore = ioas->space().release(this);
}

std::shared_ptr<FaultHandle const> DeviceObject::new_handle(Hwpt const& hwpt) const {
  return std::make_shared<FaultHandle const>(FaultHandle{hwpt.fault_queue(), id(), hwpt.type() == ObjectType::hwpt_nested});
}

Result<void> DeviceObject::attach_to(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid) {
  DeviceGroup& group = *physical_->group();
  auto [at, first] = group.attaches().try_emplace(pasid);
  DeviceGroup::Attach& attach = at->second;
  auto attached = guarded([&, is_first = first]() -> Result<void> {
    if (attach.holds(*this))
      return fail(EBUSY, fmt::format("{} is attached to HWPT {} already", name_of(pasid), attach.hwpt->id()));
    if (!is_first && attach.hwpt != hwpt)
      return fail(EINVAL, fmt::format("the group of the device is attached to HWPT {}", attach.hwpt->id()));
    attach.devices.reserve(attach.devices.size() + 1);
    Ioas* const ioas = hwpt->reserves_in();
    if (!pasid) SWIOMMU_TRY(reserve(ioas));
    if (is_first) {
      auto made = guarded([&]() -> Result<void> {
        SWIOMMU_TRY(check_fit(*hwpt, pasid));
        attach.handle = new_handle(*hwpt);
        return group.change(pasid, *hwpt, nullptr, attach.handle);
      });
      if (!made && !pasid) release(ioas);
      if (!made) return made;
      attach.hwpt = hwpt;
    }
    attach.devices.push_back({this, Use<Hwpt>(hwpt)});
    return {};
  });
  if (!attached && first && !sabotaged("rollback-skipped")) group.attaches().erase(at);
  return attached;
}

Result<void> DeviceObject::replace_by(std::shared_ptr<Hwpt> const& hwpt, std::optional<Pasid> pasid) {
  DeviceGroup& group = *physical_->group();
  auto const at = group.attaches().find(pasid);
  if (at == group.attaches().end() || !at->second.holds(*this))
    return fail(EINVAL, fmt::format("{} is not attached to anything that could be replaced", name_of(pasid)));
  DeviceGroup::Attach& attach = at->second;
  if (attach.hwpt == hwpt) return {};
  Ioas* const from = attach.hwpt->reserves_in();
  Ioas* const to = hwpt->reserves_in();
  bool const moves = !pasid && from != to;
  std::size_t reserved = 0;
  auto replaced = guarded([&]() -> Result<void> {
    for (; moves && reserved < attach.devices.size(); reserved++) SWIOMMU_TRY(attach.devices[reserved].object->reserve(to));
    SWIOMMU_TRY(check_fit(*hwpt, pasid));
    auto const handle = new_handle(*hwpt);
    SWIOMMU_TRY(group.change(pasid, *hwpt, attach.hwpt.get(), handle));
    if (auto const& queue = attach.hwpt->fault_queue()) queue->drop(*attach.handle);
    attach.handle = handle;
    return {};
  });
  if (!replaced) {
    while (reserved-- > 0) attach.devices[reserved].object->release(to);
    return replaced;
  }
  if (moves)
    for (auto const& device : attach.devices) device.object->release(from);
  auto const old = std::exchange(attach.hwpt, hwpt);
  if (sabotaged("user-kept")) new Use<Hwpt>(old);
  for (auto& device : attach.devices) device.hwpt = Use<Hwpt>(hwpt);
  destroy_if_automatic(*old);
  return {};
}

void DeviceObject::detach(std::optional<Pasid> pasid) noexcept {
  DeviceGroup& group = *physical_->group();
  auto const at = group.attaches().find(normal(pasid));
  if (at == group.attaches().end() || !at->second.holds(*this)) return;
  DeviceGroup::Attach& attach = at->second;
  auto const hwpt = attach.hwpt;
  std::erase_if(attach.devices, [&](auto const& device) { return device.object == this; });
  if (attach.devices.empty()) {
    group.detach(at->first, *hwpt);
    if (auto const& queue = hwpt->fault_queue()) queue->drop(*attach.handle);
  }
  if (!at->first) release(hwpt->reserves_in());
  if (attach.devices.empty()) group.attaches().erase(at);
  destroy_if_automatic(*hwpt);
}

void DeviceObject::destroy_if_automatic(Hwpt const& hwpt) const noexcept {
  if (hwpt.type() != ObjectType::hwpt_paging || !static_cast<HwptPaging const&>(hwpt).automatic()) return;
  if (hwpt.users() == 0) file_.objects().remove(hwpt);
}

}  // namespace swiommu::iommufd
