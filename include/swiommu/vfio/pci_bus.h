// The PCI functions of a machine, as VFIO shows them: device files, groups, and what sysfs says.
//
//   auto bus = *PciBus::create(engine);
//   auto placed = *bus->add({}, [](Slot& slot) { return make_nvme(slot); });
//   auto file = *bus->open("/dev/vfio/devices/vfio0");
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/engine.h"
#include "swiommu/iommufd/open_file.h"
#include "swiommu/vfio/device_model.h"
#include "swiommu/vfio/pci_address.h"

namespace swiommu::iommufd {
class Driver;
}  // namespace swiommu::iommufd

namespace swiommu::vfio {

class Group;
class PciFunction;

// Makes the model that is plugged into the slot, which outlives it. The model raises no interrupts before it is returned.
using MakeModel = std::function<Result<std::unique_ptr<DeviceModel>>(Slot& slot)>;

// Something under /sys. Folders that are not listed are those on the way to what is.
struct SysfsEntry {
  enum class Kind : std::uint8_t {
    folder,
    text,    // a file, with its contents
    link,    // symbolic, with its target, relative to where it is
    memory,  // resourceN: `size` bytes behind a BAR, to be had through the device's file only
  };
  std::string path;  // absolute
  Kind kind = Kind::text;
  std::string contents;
  std::uint64_t size = 0;

  bool operator==(SysfsEntry const&) const = default;
};

// Threads: everything from any thread. Files keep their functions alive, and those the engine.
class PciBus {
 public:
  // The functions are behind an IOMMU of the engine's profile. EINVAL: the profile contradicts itself. ENOMEM.
  // `faults` is told of each fault that the DMA of a function meets, on any thread, not inside a guard; it must not call back.
  using WatchFaults = std::function<void(PciAddress, FaultRecord const&)>;
  static Result<std::shared_ptr<PciBus>> create(std::shared_ptr<iommufd::Engine> engine, WatchFaults faults = {});
  ~PciBus();
  PciBus(PciBus const&) = delete;
  PciBus& operator=(PciBus const&) = delete;

  // Where a function goes. What is not said is chosen: the next bus, a group of its own.
  struct Place {
    std::optional<PciAddress> address;
    std::optional<unsigned> group;
    unsigned pasid_bits = 0;   // the function's DMA may have PASIDs below 2^pasid_bits; 0: none
    std::uint64_t serial = 0;  // Device Serial Number
  };
  struct Placed {
    PciAddress address;
    unsigned number = 0;  // of /dev/vfio/devices/vfioN
    unsigned group = 0;   // of /dev/vfio/N

    bool operator==(Placed const&) const = default;
  };
  // EEXIST: there is a function. ENOSPC: no bus, or no place for a BAR, is left. EINVAL: the model describes no function; the
  // errors of `make`. ENOMEM.
  Result<Placed> add(Place const& place, MakeModel const& make);

  // All of them, in the order of their numbers. May throw std::bad_alloc.
  [[nodiscard]] std::vector<Placed> functions() const;
  // Of a cdev or a group by number, or an address. Nothing: there is none.
  [[nodiscard]] std::optional<Placed> find_number(unsigned number) const;
  [[nodiscard]] std::optional<Placed> find_address(PciAddress address) const;
  [[nodiscard]] bool has_group(unsigned number) const;

  // What the DMA of a function has done, and how often it met a fault.
  struct Activity {
    Placed placed;
    std::optional<DmaCounts> dma;  // nothing: see Device::counts()
    std::uint64_t faults = 0;
  };
  // Of all functions, in the order of their numbers. May throw std::bad_alloc.
  [[nodiscard]] std::vector<Activity> activity() const;

  // open(2) of /dev/vfio/devices/vfioN. ENOENT; ENOMEM. Any number of times; one of them can be bound.
  Result<std::shared_ptr<iommufd::OpenFile>> open_device(unsigned number);
  // open(2) of /dev/vfio/N. ENOENT; ENOMEM. EBUSY: it is open, or a device of the group is bound through its cdev.
  Result<std::shared_ptr<iommufd::OpenFile>> open_group(unsigned number);
  // Of those two by path, of /dev/vfio/vfio and /dev/iommu. ENOENT: none of these.
  Result<std::shared_ptr<iommufd::OpenFile>> open(std::string_view path);

  // Tells who listens to the interrupt VFIO_PCI_REQ_IRQ_INDEX that the function is wanted back. ENOENT.
  Result<void> request_release(PciAddress address);

  // The device numbers that /sys and /dev are to show.
  struct DeviceNumbers {
    unsigned devices_major = 511;  // /dev/vfio/devices/vfioN: minor N
    unsigned groups_major = 510;   // /dev/vfio/N: minor N
  };
  // What is under /sys about the functions, their groups and their IOMMU; `config` as an opener finds it. ENOMEM.
  [[nodiscard]] Result<std::vector<SysfsEntry>> sysfs(DeviceNumbers const& numbers) const;
  [[nodiscard]] Result<std::vector<SysfsEntry>> sysfs() const { return sysfs(DeviceNumbers{}); }

 private:
  PciBus(std::shared_ptr<iommufd::Engine> engine, std::shared_ptr<iommufd::Driver> driver, WatchFaults faults);

  Result<PciAddress> choose_address(Place const& place) const SWIOMMU_REQUIRES(mutex_);
  Result<std::shared_ptr<Group>> group_of(Place const& place) SWIOMMU_REQUIRES(mutex_);
  Result<std::uint64_t> place_bar(Bar const& bar) SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::shared_ptr<PciFunction> function(unsigned number) const;

  std::shared_ptr<iommufd::Engine> const engine_;
  std::shared_ptr<iommufd::Driver> const driver_;
  WatchFaults const faults_;
  mutable Mutex mutex_;
  std::vector<std::shared_ptr<PciFunction>> functions_ SWIOMMU_GUARDED_BY(mutex_);  // by number
  std::map<unsigned, std::shared_ptr<Group>> groups_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t next_narrow_ SWIOMMU_GUARDED_BY(mutex_) = 0xe0000000;  // addresses on the machine's bus for BARs
  std::uint64_t next_wide_ SWIOMMU_GUARDED_BY(mutex_) = std::uint64_t{0x38} << 40;
};

}  // namespace swiommu::vfio
