// A channel: runs the descriptors of its chain, on a thread of its own.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "swiommu/base/mutex.h"
#include "vfio/devices/gate.h"
#include "vfio/devices/ioat/channel_registers.h"
#include "vfio/devices/ioat/descriptor.h"
#include "vfio/devices/ioat/general_registers.h"
#include "vfio/devices/polling_thread.h"

namespace swiommu::vfio::ioat {

// What all channels share.
struct Shared {
  Shared(Slot& its_slot, IoatOptions const& its_options, std::shared_ptr<RegisterMemory> its_memory)
      : slot(its_slot), options(its_options), memory(std::move(its_memory)), general(slot, *memory, options) {}

  Slot& slot;
  IoatOptions const options;
  std::shared_ptr<RegisterMemory> const memory;
  GeneralRegisters general;
  Gate gate;
};

class Channel {
 public:
  Channel(Shared& shared, unsigned number, std::unique_ptr<Port> port);

  Result<> start() { return thread_.start(); }
  // Returns when the thread has ended; the gate is closed before, so that it does so soon.
  void stop() { thread_.stop(); }
  void wake() { wakeup_.wake(); }
  // For who has not started it.
  bool turn() { return thread_.turn(); }

  // Accesses by calls, as ChannelRegisters has them. Any thread.
  [[nodiscard]] std::uint64_t read(std::uint64_t word);
  void write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes);
  // Behind a closed gate.
  void reset();

 private:
  bool work();
  bool attend() SWIOMMU_REQUIRES(mutex_);
  // What the hardware does about a descriptor; nothing: it is given up, to be run again if the channel goes on.
  std::optional<std::uint32_t> run(Job const& job, Descriptor& descriptor);
  std::optional<std::uint32_t> copy(Descriptor const& descriptor);
  // The program wants DMA to end before the descriptor does.
  [[nodiscard]] bool given_up() const;
  void finish(Job const& job, Descriptor const& descriptor, std::uint32_t errors);
  [[nodiscard]] bool write_status(std::uint64_t iova, std::uint64_t status);
  [[nodiscard]] bool ok(DmaResult const& result);

  Shared& shared_;
  unsigned const number_;
  std::unique_ptr<Port> const port_;
  std::atomic_ref<std::uint64_t> const control_;  // of the register memory
  Mutex mutex_;
  ChannelRegisters registers_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t interrupt_writes_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  Wakeup wakeup_;
  PollingThread thread_;
};

}  // namespace swiommu::vfio::ioat
