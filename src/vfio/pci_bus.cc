#include "swiommu/vfio/pci_bus.h"

#include <fmt/format.h>

#include <algorithm>

#include "swiommu/iommufd/make_driver.h"
#include "swiommu/vfio/device_path.h"
#include "vfio/device_file.h"
#include "vfio/group.h"
#include "vfio/group_file.h"
#include "vfio/pci_function.h"
#include "vfio/sysfs.h"

namespace swiommu::vfio {
namespace {

PciBus::Placed placed(PciFunction const& function) { return {function.address(), function.number(), function.group()->number()}; }

}  // namespace

PciBus::PciBus(std::shared_ptr<iommufd::Engine> engine, std::shared_ptr<iommufd::Driver> driver, WatchFaults faults)
    : engine_(std::move(engine)), driver_(std::move(driver)), faults_(std::move(faults)) {}

PciBus::~PciBus() = default;

Result<std::shared_ptr<PciBus>> PciBus::create(std::shared_ptr<iommufd::Engine> engine, WatchFaults faults) {
  return guarded([&]() -> Result<std::shared_ptr<PciBus>> {
    auto driver = iommufd::make_driver(engine->profile());
    if (!driver) return std::unexpected(std::move(driver).error());
    return std::shared_ptr<PciBus>(new PciBus(std::move(engine), std::move(*driver), std::move(faults)));
  });
}

Result<PciAddress> PciBus::choose_address(Place const& place) const {
  auto const taken = [&](PciAddress address) SWIOMMU_REQUIRES(mutex_) {
    return std::ranges::any_of(functions_, [&](auto const& known) { return known->address() == address; });
  };
  if (place.address) {
    if (place.address->device > 31 || place.address->function > 7) return fail(EINVAL, "an address that no function can have");
    if (taken(*place.address)) return fail(EEXIST, fmt::format("there is a function {}", place.address->text()));
    return *place.address;
  }
  for (unsigned bus = 1; bus < 256; bus++)
    if (PciAddress const address{.bus = static_cast<std::uint8_t>(bus)}; !taken(address)) return address;
  return fail(ENOSPC, "every bus has a function");
}

Result<std::shared_ptr<Group>> PciBus::group_of(Place const& place) {
  unsigned number = place.group.value_or(1);
  if (!place.group)
    while (groups_.contains(number)) number++;
  if (auto const known = groups_.find(number); known != groups_.end()) return known->second;
  auto devices = iommufd::new_group();
  if (!devices) return std::unexpected(std::move(devices).error());
  return std::make_shared<Group>(number, std::move(*devices));
}

// Naturally aligned, one after the other.
Result<std::uint64_t> PciBus::place_bar(Bar const& bar) {
  std::uint64_t& next = bar.wide ? next_wide_ : next_narrow_;
  std::uint64_t const at = (next + bar.bytes - 1) & ~(bar.bytes - 1);
  constexpr std::uint64_t narrow_end = std::uint64_t{1} << 32, wide_end = std::uint64_t{1} << 52;
  if (at + bar.bytes > (bar.wide ? wide_end : narrow_end))
    return fail(ENOSPC, fmt::format("there is no room for BAR {} of {:#x} bytes", bar.number, bar.bytes));
  next = at + bar.bytes;
  return at;
}

Result<PciBus::Placed> PciBus::add(Place const& place, MakeModel const& make) {
  return guarded([&]() -> Result<Placed> {
    Lock const lock(mutex_);
    auto const address = choose_address(place);
    if (!address) return std::unexpected(address.error());
    auto const group = group_of(place);
    if (!group) return std::unexpected(group.error());
    DeviceOptions options{.requester_id = address->requester_id(), .pasid_bits = place.pasid_bits, .interrupt_range = {}};
    for (ReservedIovas const& reserved : engine_->profile().reserved)
      if (reserved.kind == ReservedIovas::Kind::hardware_msi) options.interrupt_range = reserved.iovas;
    auto device = Device::create(engine_->host(), options);
    if (!device) return std::unexpected(std::move(device).error());
    auto physical = iommufd::PhysicalDevice::create(
        std::move(*device), driver_,
        {.capabilities = {.dirty_tracking = true, .pasid_exec = place.pasid_bits != 0, .pasid_priv = place.pasid_bits != 0},
         .reserved = {},
         .group = (*group)->devices(),
         .responses = {}});
    if (!physical) return std::unexpected(std::move(physical).error());
    functions_.reserve(functions_.size() + 1);
    auto function =
        PciFunction::create({.address = *address,
                             .number = static_cast<unsigned>(functions_.size()),
                             .serial = place.serial,
                             .physical = std::move(*physical),
                             .group = *group,
                             .place = [this](Bar const& bar) SWIOMMU_REQUIRES(mutex_) { return place_bar(bar); },
                             .faults = faults_ ? [told = faults_, at = *address](FaultRecord const& fault) { told(at, fault); }
                                               : std::function<void(FaultRecord const&)>()},
                            make);
    if (!function) return std::unexpected(std::move(function).error());
    SWIOMMU_TRY((*group)->add(*function));
    groups_.try_emplace((*group)->number(), *group);
    functions_.push_back(std::move(*function));
    return placed(*functions_.back());
  });
}

std::vector<PciBus::Placed> PciBus::functions() const {
  Lock const lock(mutex_);
  std::vector<Placed> all;
  all.reserve(functions_.size());
  for (auto const& function : functions_) all.push_back(placed(*function));
  return all;
}

std::vector<PciBus::Activity> PciBus::activity() const {
  Lock const lock(mutex_);
  std::vector<Activity> all;
  for (auto const& function : functions_) all.push_back({placed(*function), function->dma_counts(), function->fault_count()});
  return all;
}

std::shared_ptr<PciFunction> PciBus::function(unsigned number) const {
  Lock const lock(mutex_);
  return number < functions_.size() ? functions_[number] : nullptr;
}

std::optional<PciBus::Placed> PciBus::find_number(unsigned number) const {
  auto const found = function(number);
  if (!found) return std::nullopt;
  return placed(*found);
}

std::optional<PciBus::Placed> PciBus::find_address(PciAddress address) const {
  Lock const lock(mutex_);
  for (auto const& function : functions_)
    if (function->address() == address) return placed(*function);
  return std::nullopt;
}

bool PciBus::has_group(unsigned number) const {
  Lock const lock(mutex_);
  return groups_.contains(number);
}

Result<std::shared_ptr<iommufd::OpenFile>> PciBus::open_device(unsigned number) {
  auto found = function(number);
  if (!found) return fail(ENOENT, "there is no such device");
  return DeviceFile::open_cdev(std::move(found));
}

Result<std::shared_ptr<iommufd::OpenFile>> PciBus::open_group(unsigned number) {
  std::shared_ptr<Group> group;
  {
    Lock const lock(mutex_);
    if (auto const at = groups_.find(number); at != groups_.end()) group = at->second;
  }
  if (!group) return fail(ENOENT, "there is no such group");
  return GroupFile::open(std::move(group));
}

Result<std::shared_ptr<iommufd::OpenFile>> PciBus::open(std::string_view path) {
  auto const found = DevicePath::parse(path);
  if (!found) return fail(ENOENT, "no file of ours");
  switch (found->kind) {
    case DevicePath::Kind::iommu: return engine_->open();
    case DevicePath::Kind::container: return engine_->open_container();
    case DevicePath::Kind::device: return open_device(found->number);
    case DevicePath::Kind::group: return open_group(found->number);
  }
  return fail(ENOENT, "no file of ours");
}

Result<void> PciBus::request_release(PciAddress address) {
  auto const found = find_address(address);
  auto const wanted = found ? function(found->number) : nullptr;
  if (!wanted) return fail(ENOENT, "there is no such function");
  wanted->interrupts().signal_request();
  return {};
}

Result<std::vector<SysfsEntry>> PciBus::sysfs(DeviceNumbers const& numbers) const {
  return guarded([&]() -> Result<std::vector<SysfsEntry>> {
    Lock const lock(mutex_);
    return list_sysfs(functions_, engine_->profile(), numbers);
  });
}

}  // namespace swiommu::vfio
