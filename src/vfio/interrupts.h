// Which eventfds a function's interrupts go to, and which of them are masked or pending: as vfio-pci keeps it.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "swiommu/vfio/device_model.h"
#include "vfio/configuration_space.h"
#include "vfio/event_descriptor.h"
#include "vfio/event_watcher.h"
#include "vfio/interrupt_request.h"

namespace swiommu::vfio {

// Threads: set() and disable_all() one at a time; everything else from any thread, and never for long: the model's threads raise
// interrupts while others wait for them to do no more DMA. No lock of somebody else is taken.
class Interrupts {
 public:
  // None at all, until the model has said which it has. Once, before anybody else calls.
  void set_up(ModelDescription const& model);

  // VFIO_DEVICE_GET_IRQ_INFO: how many there are of a kind, and what can be done with them.
  [[nodiscard]] std::uint32_t count(std::uint32_t index) const;
  [[nodiscard]] static std::uint32_t flags(std::uint32_t index);

  // VFIO_DEVICE_SET_IRQS, of a request that has been read and is in range. ENOTTY: not with this kind. EINVAL: another kind is
  // enabled; more vectors than were enabled; else what the index does not allow. EBUSY: an eventfd for unmasking is there
  // already. The errors of eventfds.
  Result<void> set(InterruptRequest request);
  // Nobody is told any more.
  void disable_all() noexcept;

  // From the model; see Slot.
  void raise(unsigned vector) noexcept;
  void set_line(bool asserted) noexcept;

  // From the configuration space: INTx Disable, MSI Enable, Bus Master Enable.
  void set_line_disabled(bool disabled) noexcept;
  void set_msi_sent(bool sent) noexcept;
  void set_bus_master(bool on) noexcept;
  // The function was reset: nothing is asserted or pending.
  void forget_pending() noexcept;

  // Somebody would like to have the function back.
  void signal_request() noexcept;

  [[nodiscard]] InterruptState state() const;
  // A byte of the pending bits of MSI-X (PCI 3.0, 6.8.2.10).
  [[nodiscard]] std::uint8_t pending_byte(std::uint64_t offset) const;

 private:
  enum class Mode : std::uint8_t { none, line, msi, msix };
  [[nodiscard]] static Mode mode_of(std::uint32_t index);

  Result<void> set_line_mask(InterruptRequest const& request);
  Result<void> set_line_unmask(InterruptRequest request);
  Result<void> set_line_trigger(InterruptRequest request);
  Result<void> set_messages(InterruptRequest request, Mode mode);
  Result<void> listen_to_messages(InterruptRequest request, Mode mode);
  Result<void> set_single(InterruptRequest request, EventDescriptor Interrupts::* which);

  void disable() noexcept;
  void unmask() noexcept;
  void deliver_line() SWIOMMU_REQUIRES(mutex_);
  void deliver_pending(unsigned vector) SWIOMMU_REQUIRES(mutex_);

  unsigned msi_vectors_ = 0, msix_vectors_ = 0;
  bool has_line_ = false, express_ = false;

  mutable Mutex mutex_;  // innermost
  Mode mode_ SWIOMMU_GUARDED_BY(mutex_) = Mode::none;
  std::vector<EventDescriptor> listeners_ SWIOMMU_GUARDED_BY(mutex_);  // of vectors; of INTA#: one
  std::vector<bool> pending_ SWIOMMU_GUARDED_BY(mutex_);               // vectors of MSI-X that nobody listened to
  bool line_asserted_ SWIOMMU_GUARDED_BY(mutex_) = false;
  bool line_masked_ SWIOMMU_GUARDED_BY(mutex_) = false;
  bool line_disabled_ SWIOMMU_GUARDED_BY(mutex_) = false;  // INTx Disable
  bool msi_sent_ SWIOMMU_GUARDED_BY(mutex_) = false;
  unsigned msi_multiple_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool bus_master_ SWIOMMU_GUARDED_BY(mutex_) = false;
  EventDescriptor error_ SWIOMMU_GUARDED_BY(mutex_), request_ SWIOMMU_GUARDED_BY(mutex_);
  std::unique_ptr<EventWatcher> unmask_watcher_;  // calls unmask(); so it dies without mutex_
};

}  // namespace swiommu::vfio
