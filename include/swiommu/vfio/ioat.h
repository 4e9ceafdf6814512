// Intel's I/OAT DMA engine (Crystal Beach 3, version 3.3), as a function of a Skylake-X has it: 8086:2021.
//
// It copies memory: chains of descriptors with the operations copy and null, completion writes, interrupts by MSI-X, MSI or
// INTA#. It has no XOR, P+Q, fill, CRC or DIF, no direct cache access, and no interrupt coalescing.
//
// Its registers act when they are accessed, so accesses to a mapping of BAR 0 have to be made calls (MappableMemory::acts()).
// Where nobody does, or with the option `polled`, what a program writes is found by looking, later than a call, and reading has
// no effect. After a reset CHANSTS then says "halted" until a write of INTRCTRL or CHAINADDR has been found; who starts a chain
// right after it, and takes "halted" for an error at once, is too early. CHANERR is cleared by a reset only, since writing back
// what it reads as cannot be told from not writing.
//
//   auto model = make_ioat(slot, {});
#pragma once
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/vfio/device_model.h"

namespace swiommu::vfio {

struct IoatOptions {
  unsigned channels = 1;               // 1 to 31; each has a thread
  unsigned largest_transfer_lg2 = 20;  // XFERCAP: bytes of one descriptor, 12 to 31
  bool polled = false;                 // who maps BAR 0 need not make calls of accesses
};

// EINVAL: an option is out of its bounds. ENOMEM, EAGAIN (threads), what memfd_create(2) and mmap(2) say.
Result<std::unique_ptr<DeviceModel>> make_ioat(Slot& slot, IoatOptions const& options);

}  // namespace swiommu::vfio
