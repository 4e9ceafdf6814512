// The RISC-V IOMMU: from its registers, a device_id and a process_id to the tables that translate (RISC-V IOMMU
// Architecture Specification 1.0, chapters 3 and 6).
//
// The manual's second stage (G-stage) is our parent's table, its first stage (S- or VS-stage) our user page table. A
// process_id is our PASID. MSI page tables are not modelled: DMA to a virtual interrupt file goes through the second stage
// like any other. Sv32 and Sv32x4 tables are not modelled: a context that asks for them is a ConfigurationFault that says so.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "swiommu/base/result.h"
#include "swiommu/domain/context_source.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu::riscv {

// Register values as the hardware shows them.
struct Registers {
  std::uint64_t capabilities = 0;
  std::uint32_t fctl = 0;
  std::uint64_t ddtp = 0;
};

class Unit final : public ContextSource {
 public:
  // `memory`: where the device directory lies, physical addresses of the IOMMU; it must outlive the unit. `open_parent` makes
  // the view through a second-stage table, through which process directories are read; may be empty: then a process
  // directory under a second stage is a configuration fault.
  // ENOMEM.
  [[nodiscard]] static Result<Unit> create(Registers const& registers, MemoryView const& memory, ParentOpener open_parent = {});

  // The configuration of a device_id. Second stage alone: its table is `user`, and there is no `parent`. Faults give the
  // cause number that the IOMMU would report. Any thread, if `open_parent` may be called by any thread.
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  Unit(Registers const& registers, MemoryView const& memory, ParentOpener open_parent)
      : registers_(registers), memory_(&memory), open_parent_(std::move(open_parent)) {}

  Registers registers_;
  MemoryView const* memory_;
  ParentOpener open_parent_;
};

// The words of a device context that say how a guest's own tables translate: the first stage, and who its processes are. The
// second stage, and the rest, are the host's.
struct GuestContext {
  std::uint64_t tc = 0;
  std::uint64_t ta = 0;
  std::uint64_t fsc = 0;  // iosatp, or pdtp if tc.PDTV says so
};

// The first stage of one device, as a device context that a guest wrote asks for it.
class GuestTranslation final : public ContextSource {
 public:
  // `guest` is guest memory, where the process directory and the tables lie; it stays the caller's, and must live as long as
  // this.
  GuestTranslation(GuestContext const& context, Registers const& registers, MemoryView const& guest)
      : context_(context), registers_(registers), guest_(&guest) {}

  // Why a valid context is misconfigured for these registers (3.1.4), without what lies in memory; empty if it is not.
  [[nodiscard]] static std::string misconfigured(GuestContext const& context, Registers const& registers);

  // `device` is not looked at. What has no first stage is a bypass: its addresses are guest addresses. Otherwise as Unit::find().
  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override;

 private:
  GuestContext context_;
  Registers registers_;
  MemoryView const* guest_;
};

}  // namespace swiommu::riscv
