#include "vfio/interrupts.h"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "swiommu/uapi/vfio.h"

namespace swiommu::vfio {

void Interrupts::set_up(ModelDescription const& model) {
  msi_vectors_ = model.msi_vectors;
  msix_vectors_ = model.msix.vectors;
  has_line_ = model.line;
  express_ = model.extended;
  Lock const lock(mutex_);
  pending_.resize(model.msix.vectors);
}

std::uint32_t Interrupts::count(std::uint32_t index) const {
  switch (index) {
    case VFIO_PCI_INTX_IRQ_INDEX: return has_line_ ? 1 : 0;
    case VFIO_PCI_MSI_IRQ_INDEX: return msi_vectors_;
    case VFIO_PCI_MSIX_IRQ_INDEX: return msix_vectors_;
    case VFIO_PCI_ERR_IRQ_INDEX: return express_ ? 1 : 0;
    case VFIO_PCI_REQ_IRQ_INDEX: return 1;
    default: return 0;
  }
}

std::uint32_t Interrupts::flags(std::uint32_t index) {
  if (index == VFIO_PCI_INTX_IRQ_INDEX) return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
  // Vectors of MSI-X come one by one, as on machines whose interrupt controller can do that.
  if (index == VFIO_PCI_MSIX_IRQ_INDEX) return VFIO_IRQ_INFO_EVENTFD;
  return VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE;
}

Interrupts::Mode Interrupts::mode_of(std::uint32_t index) {
  switch (index) {
    case VFIO_PCI_INTX_IRQ_INDEX: return Mode::line;
    case VFIO_PCI_MSI_IRQ_INDEX: return Mode::msi;
    case VFIO_PCI_MSIX_IRQ_INDEX: return Mode::msix;
    default: return Mode::none;
  }
}

void Interrupts::disable() noexcept {
  unmask_watcher_.reset();
  std::vector<EventDescriptor> old;
  Lock const lock(mutex_);
  old.swap(listeners_);
  mode_ = Mode::none;
  line_masked_ = msi_sent_ = false;
  msi_multiple_ = 0;
  pending_.assign(pending_.size(), false);
}

void Interrupts::disable_all() noexcept {
  disable();
  Lock const lock(mutex_);
  error_ = {};
  request_ = {};
  line_disabled_ = false;
}

void Interrupts::raise(unsigned vector) noexcept {
  Lock const lock(mutex_);
  if (!bus_master_) return;
  if (mode_ == Mode::msi && !msi_sent_) return;
  if (mode_ != Mode::msi && mode_ != Mode::msix) return;
  if (vector < listeners_.size() && listeners_[vector]) {
    listeners_[vector].signal();
  } else if (mode_ == Mode::msix && vector < pending_.size()) {
    pending_[vector] = true;  // nobody listens: masked, to the device
  }
}

void Interrupts::deliver_pending(unsigned vector) {
  if (mode_ != Mode::msix || !listeners_[vector] || !pending_[vector] || !bus_master_) return;
  pending_[vector] = false;
  listeners_[vector].signal();
}

void Interrupts::set_line(bool asserted) noexcept {
  Lock const lock(mutex_);
  line_asserted_ = asserted;
  deliver_line();
}

void Interrupts::deliver_line() {
  if (mode_ != Mode::line || !line_asserted_ || line_masked_ || line_disabled_ || listeners_.empty() || !listeners_[0]) return;
  line_masked_ = true;  // until somebody has handled it
  listeners_[0].signal();
}

void Interrupts::unmask() noexcept {
  Lock const lock(mutex_);
  if (mode_ != Mode::line || line_disabled_) return;
  line_masked_ = false;
  deliver_line();
}

void Interrupts::set_line_disabled(bool disabled) noexcept {
  Lock const lock(mutex_);
  if (line_disabled_ == disabled) return;
  line_disabled_ = disabled;
  line_masked_ = disabled;
  deliver_line();
}

void Interrupts::set_msi_sent(bool sent) noexcept {
  Lock const lock(mutex_);
  msi_sent_ = sent;
}

void Interrupts::set_bus_master(bool on) noexcept {
  Lock const lock(mutex_);
  bus_master_ = on;
  for (unsigned vector = 0; vector < pending_.size() && vector < listeners_.size(); vector++) deliver_pending(vector);
}

void Interrupts::forget_pending() noexcept {
  Lock const lock(mutex_);
  line_asserted_ = false;
  pending_.assign(pending_.size(), false);
}

void Interrupts::signal_request() noexcept {
  Lock const lock(mutex_);
  if (request_) request_.signal();
}

InterruptState Interrupts::state() const {
  Lock const lock(mutex_);
  return {line_asserted_, mode_ == Mode::msi, mode_ == Mode::msix, msi_multiple_};
}

std::uint8_t Interrupts::pending_byte(std::uint64_t offset) const {
  Lock const lock(mutex_);
  unsigned byte = 0;
  for (unsigned n = 0; n < 8; n++)
    if (8 * offset + n < pending_.size() && pending_[8 * offset + n]) byte |= 1u << n;
  return static_cast<std::uint8_t>(byte);
}

}  // namespace swiommu::vfio
