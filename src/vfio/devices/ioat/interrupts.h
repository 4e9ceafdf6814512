// The first word of BAR 0: what the engine is, INTRCTRL and ATTNSTATUS, and the interrupts that follow from them.
#pragma once
#include <cstdint>

#include "swiommu/base/mutex.h"
#include "swiommu/vfio/device_model.h"
#include "swiommu/vfio/ioat.h"
#include "vfio/devices/ioat/register_word.h"
#include "vfio/devices/ioat/registers.h"

namespace swiommu::vfio::ioat {

// Threads: any.
class Interrupts {
 public:
  Interrupts(Slot& slot, RegisterMemory const& memory, IoatOptions const& options);

  // Accesses by calls; `bytes` masks those that are read or written. Reading ATTNSTATUS clears it, reading INTRCTRL clears
  // MASTER_INT_EN.
  [[nodiscard]] std::uint64_t read(std::uint64_t bytes);
  void write(std::uint64_t value, std::uint64_t bytes);
  // Finds what was written through a mapping. How often INTRCTRL has been: a program that resets channels does so before.
  std::uint64_t look();

  // A channel has an interrupt. With a pass of the gate.
  void raise(unsigned channel);
  void reset();

 private:
  void write_locked(std::uint64_t value, std::uint64_t fields) SWIOMMU_REQUIRES(mutex_);
  // True: the message of all channels is to be sent.
  bool update() SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t word() const SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t shown() const SWIOMMU_REQUIRES(mutex_);

  Slot& slot_;
  std::uint64_t const fixed_;
  Mutex mutex_;
  RegisterWord word_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint8_t general_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // GENCTRL
  std::uint8_t control_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // INTRCTRL, what can be written
  std::uint32_t attention_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool asserted_ SWIOMMU_GUARDED_BY(mutex_) = false;
  std::uint64_t writes_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // of INTRCTRL through a mapping
};

}  // namespace swiommu::vfio::ioat
