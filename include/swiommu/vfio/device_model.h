// A model of a PCI function, and the slot that it is plugged into.
//
// The slot's owner (vfio/) keeps the configuration space, gives programs the BARs and delivers interrupts. The model has the
// registers behind the BARs and does the work, on threads of its own; all its DMA goes through ports of the slot.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "swiommu/base/result.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/device/port.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::vfio {

// PCI Local Bus Specification 3.0, 6.2.1 and 6.2.4.
struct PciIdentity {
  std::uint16_t vendor = 0, device = 0, subsystem_vendor = 0, subsystem = 0;
  std::uint32_t class_code = 0;  // 24 bits: base class, subclass, programming interface
  std::uint8_t revision = 0;
};

// A memory BAR; `bytes` is a power of two and at least a page. A wide one takes the next number too.
struct Bar {
  unsigned number = 0;
  std::uint64_t bytes = 0;
  bool wide = true;
  bool prefetchable = false;
  bool mappable = true;  // programs may map it: DeviceModel::map_bar()
};

// Where the tables of MSI-X lie (6.8.2). The slot keeps what is in them: accesses there never reach the model.
struct MsixTables {
  std::uint16_t vectors = 0;  // none: the function has no MSI-X
  unsigned bar = 0;
  std::uint32_t table_offset = 0, pending_offset = 0;
};

struct ModelDescription {
  PciIdentity identity;
  std::vector<Bar> bars;
  MsixTables msix;
  unsigned msi_vectors = 0;  // a power of two up to 32; 0: no MSI
  bool line = false;         // INTA#
  bool extended = true;      // a PCI Express function, with 4096 bytes of configuration space
};

// What the model reaches the rest of the machine through. Threads: everything from any thread. Outlives the model.
//
// raise(), set_line() and report() are called from inside calls of the model too, and by its threads while on_bus_master() and
// reset() wait for them: they take no lock that the slot's owner holds when it calls the model.
class Slot {
 public:
  Slot() = default;
  Slot(Slot const&) = delete;
  Slot& operator=(Slot const&) = delete;
  virtual ~Slot() = default;

  // A place to do DMA from, for one thread. ENOMEM.
  virtual Result<std::unique_ptr<Port>> open_port() = 0;
  // Bus Master Enable (6.2.2). While it is false the model starts no DMA and sends no message; see on_bus_master().
  [[nodiscard]] virtual bool bus_master() const noexcept = 0;
  // Sends the message of a vector, by MSI-X or MSI, whichever is enabled; does nothing if neither is, or while bus_master() is
  // false. A vector of MSI-X that nobody listens to is masked: pending until somebody does, or until a reset.
  virtual void raise(unsigned vector) noexcept = 0;
  // Asserts INTA#, or stops; delivered while neither MSI nor MSI-X is enabled. Level-triggered: a listener that has handled one
  // interrupt is told again while it stays asserted.
  virtual void set_line(bool asserted) noexcept = 0;
  // DMA met a fault, for who keeps records of them. Not inside a guard.
  virtual void report(FaultRecord const& fault) noexcept = 0;
};

// Threads: the slot's owner makes one call at a time, from any thread. From inside of any of them the slot may be called; none
// may wait for a thread that makes a call of the slot's owner, a program's access to a BAR for example.
class DeviceModel {
 public:
  DeviceModel() = default;
  DeviceModel(DeviceModel const&) = delete;
  DeviceModel& operator=(DeviceModel const&) = delete;
  // Its threads have ended, and no DMA is in flight.
  virtual ~DeviceModel() = default;

  [[nodiscard]] virtual ModelDescription const& description() const = 0;

  // An access to a BAR: of 1, 2, 4 or 8 bytes, naturally aligned, inside the BAR, little-endian.
  virtual void read_bar(unsigned bar, std::uint64_t offset, std::span<std::byte> to) = 0;
  virtual void write_bar(unsigned bar, std::uint64_t offset, std::span<std::byte const> from) = 0;
  // The memory behind a whole mappable BAR, from offset() on. As long as the pointer is kept, registers are read and written
  // there without any call, and the model has to see what is written by itself. ENODEV: not mappable. ENOMEM.
  virtual Result<std::shared_ptr<iommufd::MappableMemory>> map_bar(unsigned bar) = 0;

  // When either returns, no DMA is in flight, and none is started until bus_master() says so again.
  virtual void on_bus_master(bool enabled) = 0;
  // Function Level Reset: all registers are as they were at first, and what is behind a mapping of a BAR too. No DMA is in
  // flight: on_bus_master(false) came before, unless bus_master() has never been true since.
  virtual void reset() = 0;
};

}  // namespace swiommu::vfio
