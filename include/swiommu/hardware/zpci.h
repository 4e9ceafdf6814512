// s390 zPCI: from the I/O translation anchor of a function to its table.
//
// There is no public manual. What is known here is what Linux and QEMU show: anchors with designation type 1 (region-third
// table) are used by both; types 0, 2 and 3 are Linux's definitions, of which it uses 2 and 3; QEMU accepts type 1 only.
// Types 4, 5 and 7 have names (page frame absolute address, I/O page frame absolute address, I/O page table origin) but no
// behaviour that can be seen anywhere: they are configuration faults. Bit 9 forbids writing everywhere (QEMU). Unverified: what
// hardware does with an origin that is no multiple of 16 KiB (a configuration fault here), and with a request that has a PASID
// (likewise).
#pragma once
#include <cstdint>
#include <expected>
#include <optional>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::zpci {

// What the guest registered for the function (MPCIFC, register I/O address translation parameters).
struct Registers {
  std::optional<std::uint64_t> iota;  // the anchor; empty: none is registered, DMA is blocked
  std::optional<std::uint64_t> pba;   // PCI base address: first iova; bits 11:0 are taken as 0. Empty: 0
  std::optional<std::uint64_t> pal;   // PCI address limit: last iova; bits 11:0 are taken as 1. Empty: the last of all
  std::uint64_t dma_start = 0;        // start of the function's DMA range (SDMA): DMA without a table reaches address
                                      // iova - dma_start, as QEMU and Linux have it
};

class Function final : public ContextSource {
 public:
  // `memory`: where the table lies; nothing is read from it here, but it is what find()'s tables mean.
  // EINVAL: pba is above pal. ENOMEM.
  [[nodiscard]] static Result<Function> create(Registers const& registers, MemoryView const& memory);

  // `device` is not looked at: each function has its own anchor. Any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  Function(Registers const& registers, Range aperture) : registers_(registers), aperture_(aperture) {}

  Registers registers_;
  Range aperture_;
};

}  // namespace swiommu::zpci
