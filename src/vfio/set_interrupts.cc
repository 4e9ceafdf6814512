// VFIO_DEVICE_SET_IRQS: what each kind of interrupts does with a request.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "swiommu/uapi/vfio.h"
#include "vfio/interrupts.h"

namespace swiommu::vfio {

using Data = InterruptRequest::Data;

Result<void> Interrupts::set(InterruptRequest request) {
  Mode const mode = mode_of(request.index);
  auto const single = request.index == VFIO_PCI_ERR_IRQ_INDEX ? &Interrupts::error_ : &Interrupts::request_;
  switch (request.actions) {
    case VFIO_IRQ_SET_ACTION_MASK:
      if (mode == Mode::line) return set_line_mask(request);
      break;
    case VFIO_IRQ_SET_ACTION_UNMASK:
      if (mode == Mode::line) return set_line_unmask(std::move(request));
      break;
    case VFIO_IRQ_SET_ACTION_TRIGGER:
      if (mode == Mode::line) return set_line_trigger(std::move(request));
      if (mode != Mode::none) return set_messages(std::move(request), mode);
      return set_single(std::move(request), single);
    default: return fail(ENOTTY, "the actions are not exactly one");
  }
  return fail(ENOTTY, fmt::format("interrupts of index {} are not masked this way", request.index));
}

Result<void> Interrupts::set_line_mask(InterruptRequest const& request) {
  Lock const lock(mutex_);
  if (mode_ != Mode::line || request.count != 1) return fail(EINVAL, "INTA# is not enabled, or it is not one interrupt");
  if (request.data == Data::events) return fail(ENOTTY, "INTA# is not masked by eventfds");
  if (request.chooses(0)) line_masked_ = true;
  return {};
}

Result<void> Interrupts::set_line_unmask(InterruptRequest request) {
  {
    Lock const lock(mutex_);
    if (mode_ != Mode::line || request.count != 1) return fail(EINVAL, "INTA# is not enabled, or it is not one interrupt");
  }
  if (request.data != Data::events) {
    if (request.chooses(0)) unmask();
    return {};
  }
  if (request.wrong) return std::unexpected(std::move(*request.wrong));
  if (!request.events[0]) {
    unmask_watcher_.reset();
    return {};
  }
  if (unmask_watcher_) return fail(EBUSY, "there is an eventfd that unmasks INTA# already");
  auto watcher = EventWatcher::start(std::move(request.events[0]), [this] { unmask(); });
  if (!watcher) return std::unexpected(std::move(watcher).error());
  unmask_watcher_ = std::move(*watcher);
  return {};
}

Result<void> Interrupts::set_line_trigger(InterruptRequest request) {
  Mode mode = Mode::none;
  {
    Lock const lock(mutex_);
    mode = mode_;
  }
  if (mode == Mode::line && request.count == 0 && request.data == Data::none) {
    disable();
    return {};
  }
  if ((mode != Mode::line && mode != Mode::none) || request.count != 1)
    return fail(EINVAL, "messages are enabled, or it is not one interrupt");
  if (request.wrong) return std::unexpected(std::move(*request.wrong));
  Lock const lock(mutex_);
  if (request.data == Data::events) {
    if (mode == Mode::none) line_masked_ = line_disabled_;
    listeners_.resize(1);
    std::swap(listeners_[0], request.events[0]);
    mode_ = Mode::line;
    deliver_line();
    return {};
  }
  if (mode != Mode::line) return fail(EINVAL, "INTA# is not enabled");
  if (request.chooses(0) && !line_disabled_ && listeners_[0]) listeners_[0].signal();
  return {};
}

Result<void> Interrupts::set_messages(InterruptRequest request, Mode wanted) {
  Mode mode = Mode::none;
  {
    Lock const lock(mutex_);
    mode = mode_;
  }
  if (mode == wanted && request.count == 0 && request.data == Data::none) {
    disable();
    return {};
  }
  if (mode != wanted && mode != Mode::none) return fail(EINVAL, "interrupts of another index are enabled");
  if (request.data == Data::events) return listen_to_messages(std::move(request), wanted);
  if (mode != wanted) return fail(EINVAL, "no interrupts of this index are enabled");
  Lock const lock(mutex_);
  for (std::uint32_t n = 0; n < request.count; n++) {
    std::uint32_t const vector = request.start + n;
    if (request.chooses(n) && vector < listeners_.size() && listeners_[vector]) listeners_[vector].signal();
  }
  return {};
}

Result<void> Interrupts::listen_to_messages(InterruptRequest request, Mode wanted) {
  std::vector<EventDescriptor> bigger;
  std::uint32_t const needed = request.start + request.count;
  bool fresh = false, grows = false;
  {
    Lock const lock(mutex_);
    fresh = mode_ == Mode::none;
    grows = needed > listeners_.size();
  }
  if (fresh && needed == 0) return fail(ERANGE, "no interrupts are to be enabled");
  if (!fresh && grows && wanted == Mode::msi)
    request.wrong = Error{EINVAL, "more vectors than were enabled: disable all of them first"};
  if (grows && !request.wrong) bigger.resize(needed);

  if (request.wrong) {
    // As far as it got, and one more: nobody listens any more.
    Lock const lock(mutex_);
    for (std::uint32_t vector = request.start;
         vector < listeners_.size() && vector <= request.start + request.events.size() && vector < needed; vector++)
      listeners_[vector] = {};
    return std::unexpected(std::move(*request.wrong));
  }
  Lock const lock(mutex_);
  if (grows) {
    std::ranges::move(listeners_, bigger.begin());
    listeners_.swap(bigger);
  }
  if (fresh) {
    mode_ = wanted;
    msi_sent_ = wanted == Mode::msi;
    msi_multiple_ = wanted == Mode::msi ? static_cast<unsigned>(std::bit_width(needed - 1)) : 0;
  }
  for (std::uint32_t n = 0; n < request.count; n++) {
    std::swap(listeners_[request.start + n], request.events[n]);
    deliver_pending(request.start + n);
  }
  return {};
}

// The error and the request to release the device: no more than an eventfd each.
Result<void> Interrupts::set_single(InterruptRequest request, EventDescriptor Interrupts::* which) {
  if (request.count == 0 && request.data != Data::none) return fail(EINVAL, "data of no interrupt");
  if (request.wrong) return std::unexpected(std::move(*request.wrong));
  Lock const lock(mutex_);
  EventDescriptor& event = this->*which;
  if (request.data == Data::events) {
    // -1 means none; other negative numbers change nothing.
    if (request.descriptors[0] >= -1) std::swap(event, request.events[0]);
    return {};
  }
  if (request.data == Data::none && !event) return fail(EINVAL, "nobody listens");
  if (request.count == 0) {
    event = {};
  } else if (event && request.chooses(0)) {
    event.signal();
  }
  return {};
}

}  // namespace swiommu::vfio
