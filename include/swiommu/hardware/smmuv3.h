// The Arm SMMUv3: from its registers and a StreamID to the tables that translate (Arm IHI 0070, chapters 3.3, 5 and 6).
//
// The manual's "stage 2" is our parent's table, "stage 1" our user page table. A StreamID is our device, a SubstreamID our
// PASID. Only the Non-secure programming interface; ATS, MPAM, permission indirection, VMSAv8-32 and VMSAv9-128 tables and
// 52-bit addresses with 4 or 16 KiB granules (CD.DS, STE.S2DS) are not modelled: an STE or CD that asks for such tables is
// a ConfigurationFault that says so.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::smmuv3 {

// Register values as the hardware shows them. What is not known stays empty: then nothing is refused because of it.
struct Registers {
  std::uint64_t strtab_base = 0;
  std::uint32_t strtab_base_cfg = 0;
  std::optional<std::uint32_t> cr0;   // bit 0 SMMUEN; empty: enabled
  std::optional<std::uint32_t> cr2;   // bit 0 E2H; empty: as if set, which matters for streams of EL2 only
  std::optional<std::uint32_t> gbpa;  // bit 20 ABORT: what SMMUEN = 0 does; empty: bypass
  std::optional<std::uint32_t> idr0;  // what is implemented
  std::optional<std::uint32_t> idr1;  // sizes of StreamID and SubstreamID
  std::optional<std::uint32_t> idr3;  // HAD, STT; empty: HAD = 1, STT = 0
  std::optional<std::uint32_t> idr5;  // output size, granules
};

class Unit final : public ContextSource {
 public:
  // `memory`: where the stream table lies, physical addresses of the SMMU; it must outlive the unit. `open_parent` makes
  // the view through a stage 2 table, through which CDs are read; may be empty: then streams with both stages are
  // configuration faults.
  // ENOMEM.
  [[nodiscard]] static Result<Unit> create(Registers const& registers, MemoryView const& memory, ParentOpener open_parent = {});

  // The configuration of a StreamID. Stage 2 alone: its table is `user`, and there is no `parent`. Faults name the event
  // that the SMMU would record (C_BAD_STE, F_CD_FETCH, ...). Any thread, if `open_parent` may be called by any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  Unit(Registers const& registers, MemoryView const& memory, ParentOpener open_parent)
      : registers_(registers), memory_(&memory), open_parent_(std::move(open_parent)) {}

  Registers registers_;
  MemoryView const* memory_;
  ParentOpener open_parent_;
};

}  // namespace swiommu::smmuv3
