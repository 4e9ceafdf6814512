// What follows from the registers of each kind of hardware, as its driver in Linux sees it.
#pragma once
#include "swiommu/memory/host_address_space.h"  // x86_interrupt_range
#include "swiommu/profile/profile.h"

namespace swiommu {

// Writes everything below `registers`. EINVAL: no page table is possible.
Result<void> derive_vtd(Profile& profile);
Result<void> derive_smmuv3(Profile& profile);
Result<void> derive_amd(Profile& profile);
Result<void> derive_riscv(Profile& profile);
Result<void> derive_zpci(Profile& profile);
Result<void> derive_selftest(Profile& profile);

// What x86 machines have: writes to these iovas are interrupts.
inline constexpr ReservedIovas x86_interrupts{x86_interrupt_range, ReservedIovas::Kind::hardware_msi};

}  // namespace swiommu
