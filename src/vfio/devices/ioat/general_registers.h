// The registers that are no channel's: what the engine is, and INTRCTRL and ATTNSTATUS with the interrupts that follow from them.
#pragma once
#include <cstdint>

#include "swiommu/base/mutex.h"
#include "swiommu/vfio/device_model.h"
#include "swiommu/vfio/ioat.h"
#include "vfio/devices/ioat/register_word.h"
#include "vfio/devices/ioat/registers.h"

namespace swiommu::vfio::ioat {

// Threads: any.
class GeneralRegisters {
 public:
  GeneralRegisters(Slot& slot, RegisterMemory const& memory, IoatOptions const& options);

  // Accesses by calls; `word` is a multiple of 8, `bytes` masks those that are read or written. Reading ATTNSTATUS clears it,
  // reading INTRCTRL clears MASTER_INT_EN.
  [[nodiscard]] std::uint64_t read(std::uint64_t word, std::uint64_t bytes);
  void write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes);
  // Finds what was written through a mapping. How often INTRCTRL has been: a program that resets channels does so before.
  std::uint64_t look();

  // A channel has an interrupt. With a pass of the gate.
  void raise(unsigned channel);
  void reset();

 private:
  void write_control(std::uint64_t value, std::uint64_t fields) SWIOMMU_REQUIRES(mutex_);
  void write_delay(std::uint64_t value, std::uint64_t fields) SWIOMMU_REQUIRES(mutex_);
  // True: the message of all channels is to be sent.
  bool update() SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t control_word() const SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t control_shown() const SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] std::uint64_t version_word() const SWIOMMU_REQUIRES(mutex_);

  Slot& slot_;
  std::uint64_t const fixed_;
  Mutex mutex_;
  RegisterWord control_word_ SWIOMMU_GUARDED_BY(mutex_), version_word_ SWIOMMU_GUARDED_BY(mutex_),
      capabilities_word_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint8_t general_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // GENCTRL
  std::uint8_t control_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // INTRCTRL, what can be written
  std::uint16_t delay_ SWIOMMU_GUARDED_BY(mutex_) = 0;   // INTRDELAY, which delays nothing
  std::uint32_t attention_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool asserted_ SWIOMMU_GUARDED_BY(mutex_) = false;
  std::uint64_t writes_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // of INTRCTRL through a mapping
};

}  // namespace swiommu::vfio::ioat
