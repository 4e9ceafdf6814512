// A PCI function: a model in its slot, with a configuration space, interrupts, and a place behind the IOMMU.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/physical_device.h"
#include "swiommu/vfio/device_model.h"
#include "swiommu/vfio/pci_address.h"
#include "swiommu/vfio/pci_bus.h"
#include "vfio/configuration_space.h"
#include "vfio/device_opening.h"
#include "vfio/interrupts.h"

namespace swiommu::vfio {

class Group;

// Threads: everything from any thread. The model is called by one at a time, and calls the slot from threads of its own; what it
// calls never waits for a call of the model.
class PciFunction final : public Slot {
 public:
  struct Options {
    PciAddress address;
    unsigned number = 0;  // of its cdev: vfio0, vfio1, ...
    std::uint64_t serial = 0;
    std::shared_ptr<iommufd::PhysicalDevice> physical;
    std::shared_ptr<Group> group;
    std::function<Result<std::uint64_t>(Bar const&)> place;  // where on the machine's bus a BAR is
    std::function<void(FaultRecord const&)> faults;          // who else wants to know of them
  };
  // The errors of `make`; EINVAL: the model describes no function. ENOMEM.
  static Result<std::shared_ptr<PciFunction>> create(Options options, MakeModel const& make);
  ~PciFunction() override;

  [[nodiscard]] PciAddress address() const { return options_.address; }
  [[nodiscard]] unsigned number() const { return options_.number; }
  [[nodiscard]] std::shared_ptr<iommufd::PhysicalDevice> const& physical() const { return options_.physical; }
  [[nodiscard]] std::shared_ptr<Group> const& group() const { return options_.group; }
  [[nodiscard]] ModelDescription const& description() const { return description_; }
  [[nodiscard]] BarAddresses const& bar_addresses() const { return addresses_; }
  [[nodiscard]] Bar const* find_bar(std::uint64_t number) const;
  [[nodiscard]] Interrupts& interrupts() { return interrupts_; }
  [[nodiscard]] DeviceOpening& opening() { return opening_; }

  // Slot.
  Result<std::unique_ptr<Port>> open_port() override;
  [[nodiscard]] bool bus_master() const noexcept override { return bus_master_.load(std::memory_order_acquire); }
  void raise(unsigned vector) noexcept override { interrupts_.raise(vector); }
  void set_line(bool asserted) noexcept override { interrupts_.set_line(asserted); }
  void report(FaultRecord const& fault) noexcept override;

  // What its DMA has done, and how often it met a fault.
  [[nodiscard]] std::optional<DmaCounts> dma_counts() const { return options_.physical->device()->counts(); }
  [[nodiscard]] std::uint64_t fault_count() const { return fault_count_.load(std::memory_order_relaxed); }

  // The first opener comes, the last one goes: the function is as after a reset, and nobody is told of interrupts.
  void enable();
  void disable() noexcept;
  // VFIO_DEVICE_RESET: the model is reset; the configuration space and who listens to interrupts stay.
  void reset();
  Result<void> set_interrupts(InterruptRequest request);

  // One access: 1, 2 or 4 bytes, naturally aligned, inside the space.
  [[nodiscard]] unsigned configuration_size() const { return description_.extended ? 4096 : 256; }
  void read_configuration(unsigned offset, std::span<std::byte> to);
  void write_configuration(unsigned offset, std::span<std::byte const> from);

  // One access: 1, 2, 4 or 8 bytes, naturally aligned, inside the BAR, outside of the table of MSI-X. EIO: memory is not enabled.
  Result<void> read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to);
  Result<void> write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from);
  // ENODEV; ENOMEM.
  Result<std::shared_ptr<iommufd::MappableMemory>> map_bar(unsigned bar);

  // VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY and _EXIT. False: it was so already.
  bool set_low_power(bool on) noexcept { return low_power_.exchange(on) != on; }

 private:
  explicit PciFunction(Options options);

  void follow_bus_master() SWIOMMU_REQUIRES(mutex_);
  void stop_dma() SWIOMMU_REQUIRES(mutex_);
  void reset_model() SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::optional<std::uint64_t> pending_offset(unsigned bar, std::uint64_t offset) const;

  Options const options_;
  // The model says so once it is there; from then on they stay.
  ModelDescription description_;
  BarAddresses addresses_{};
  Interrupts interrupts_;
  std::atomic<std::uint64_t> fault_count_ = 0;
  std::atomic<bool> bus_master_ = false;
  std::atomic<bool> low_power_ = false;
  DeviceOpening opening_{*this};
  Mutex setting_interrupts_;  // after opening_'s, before mutex_
  mutable Mutex mutex_;       // for calls of the model, and the configuration space
  std::unique_ptr<ConfigurationSpace> configuration_ SWIOMMU_GUARDED_BY(mutex_);
  std::unique_ptr<DeviceModel> model_ SWIOMMU_POINTEE_GUARDED_BY(mutex_);  // its threads use all of the above
};

}  // namespace swiommu::vfio
