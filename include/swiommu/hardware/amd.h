// AMD-Vi: from a device to its page tables. "AMD I/O Virtualization Technology (IOMMU) Specification" (48882), section 2.2.
//
// The manual's host (v1) table is our first level (a paging domain's table, the parent), its guest (v2) table our second
// (the user page table); the GCR3 table is our context directory. A table that translates alone is `user` in the
// DeviceConfiguration, whichever of the two it is.
#pragma once
#include <array>
#include <cstdint>
#include <optional>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::amd {

// What the IOMMU's MMIO registers hold. Of an absent register nothing is known, and nothing is refused because of it.
struct Registers {
  std::uint64_t device_table_base = 0;             // offset 0x00: address of the device table, and its size
  std::optional<std::uint64_t> control;            // offset 0x18; absent: enabled, GCR3 tables are at guest addresses
  std::optional<std::uint64_t> extended_features;  // offset 0x30; leave it absent where the hardware has no such register
  std::optional<std::uint64_t> status;             // offset 0x2020; shown in the steps, decides nothing
  unsigned host_address_width = 0;                 // in bits, 32..52, from the ACPI IVRS table; 0 = unknown: no limit but 52
};

// One IOMMU.
class Unit final : public ContextSource {
 public:
  // `memory` is what the IOMMU sees of memory; it stays the caller's, and must live as long as the unit. `open_parent` is
  // called, from any thread that calls find(), to read a GCR3 table that lies behind a host table; it may be empty, then
  // such devices have a fault. EINVAL: the host address width is none.
  [[nodiscard]] static Result<Unit> create(Registers const& registers, MemoryView const& memory, ParentOpener open_parent = {});

  // `device` is the device id, bus << 8 | device << 3 | function. An IOMMU that is not enabled, and a device table entry
  // with V = 0, are a bypass. A fault: structures that are invalid or not in memory, and what blocks all DMA (TV = 0, a
  // PASID without guest translation). IR and IW of the device table entry are the configuration's `rights`. That the page
  // table itself lies in memory is left to the walk. Any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  Unit(Registers const& registers, MemoryView const& memory, ParentOpener open_parent)
      : registers_(registers), memory_(&memory), open_parent_(std::move(open_parent)) {}

  Registers registers_;
  MemoryView const* memory_;
  ParentOpener open_parent_;
};

// The guest translation of one device, as a device table entry that a guest wrote asks for it: GV, GIOV, GLX, the GCR3 table and
// GuestPagingMode, if V says that they count. The rest of the entry is the host's.
class GuestTranslation final : public ContextSource {
 public:
  // `guest` is guest memory, where the GCR3 table and the guest tables lie; it stays the caller's, and must live as long as this.
  // Of the registers only the extended features count.
  GuestTranslation(std::array<std::uint64_t, 4> const& entry, Registers const& registers, MemoryView const& guest)
      : entry_(entry), registers_(registers), guest_(&guest) {}

  // `device` is not looked at. DMA that the entry asks no guest translation for is a bypass: its addresses are guest addresses. A
  // fault: an entry that asks for what the hardware does not have, a PASID without guest translation, or one whose GCR3 table
  // entry is invalid or not in memory. Any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  std::array<std::uint64_t, 4> entry_;
  Registers registers_;
  MemoryView const* guest_;
};

}  // namespace swiommu::amd
