// Intel VT-d: from a device to its page tables. "Intel Virtualization Technology for Directed I/O", chapters 3 and 9.
//
// The manual's second-stage table is our first level (a paging domain's table, the parent), its first-stage table our
// second (the user page table); "nested" has the same meaning. A table that translates alone is `user` in the
// DeviceConfiguration, whichever of the two it is.
#pragma once
#include <cstdint>
#include <optional>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::vtd {

// What the remapping unit's registers hold. Of an absent register nothing is known, and nothing is refused because of it.
struct Registers {
  std::uint64_t root_table_address = 0;              // RTADDR_REG, offset 0x20: root table and translation table mode
  std::optional<std::uint64_t> capability;           // CAP_REG, offset 0x08
  std::optional<std::uint64_t> extended_capability;  // ECAP_REG, offset 0x10
  std::optional<std::uint64_t> global_status;        // GSTS_REG, offset 0x1c; absent: translation is enabled
  unsigned host_address_width = 0;                   // in bits, 32..52, from the ACPI DMAR table; 0 = unknown: no limit but 52
};

// One remapping unit.
class Unit final : public ContextSource {
 public:
  // `memory` is what the unit sees of memory; it stays the caller's, and must live as long as the unit.
  // EINVAL: the host address width is none.
  [[nodiscard]] static Result<Unit> create(Registers const& registers, MemoryView const& memory);

  // `device` is the source-id, bus << 8 | device << 3 | function. Translation that is not enabled (GSTS.TES = 0) is a
  // bypass. A fault: structures that are not present, invalid, or not in memory, and modes that block DMA (abort mode, a
  // PASID where none is allowed). That the page table itself lies in memory is left to the walk. Any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  Unit(Registers const& registers, MemoryView const& memory) : registers_(registers), memory_(&memory) {}

  Registers registers_;
  MemoryView const* memory_;
};

}  // namespace swiommu::vtd
