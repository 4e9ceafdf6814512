#include "vfio/devices/ioat/interrupts.h"

namespace swiommu::vfio::ioat {
namespace {

constexpr std::uint64_t general_field = std::uint64_t{0xff} << 16, control_field = std::uint64_t{0xff} << 24,
                        attention_field = ~std::uint64_t{0} << 32;

// Set where a mapping shows INTRCTRL, so that the same value is noticed when it is written again; reserved.
constexpr std::uint64_t control_taken = 0x80u << 24;

}  // namespace

Interrupts::Interrupts(Slot& slot, RegisterMemory const& memory, IoatOptions const& options)
    : slot_(slot),
      fixed_(options.channels | static_cast<std::uint64_t>(options.largest_transfer_lg2) << 8),
      word_(memory, offset::chancnt, {general_field, control_field, 0}) {
  reset();
}

std::uint64_t Interrupts::word() const {
  std::uint64_t control = control_;
  if (attention_ != 0) control |= intrctrl::status;
  if (asserted_) control |= intrctrl::asserted;
  return fixed_ | static_cast<std::uint64_t>(general_) << 16 | control << 24 | static_cast<std::uint64_t>(attention_) << 32;
}

std::uint64_t Interrupts::shown() const { return word() | control_taken; }

std::uint64_t Interrupts::read(std::uint64_t bytes) {
  Lock const lock(mutex_);
  std::uint64_t const value = word();
  if ((bytes & control_field) != 0) control_ &= static_cast<std::uint8_t>(~intrctrl::master_enable);
  if ((bytes & attention_field) != 0) attention_ = 0;
  (void)update();
  word_.show(shown());
  return value;
}

void Interrupts::write_locked(std::uint64_t value, std::uint64_t fields) {
  if ((fields & general_field) != 0) general_ = static_cast<std::uint8_t>(value >> 16 & 1);
  if ((fields & control_field) != 0)
    control_ = static_cast<std::uint8_t>(value >> 24 & (intrctrl::master_enable | intrctrl::vector_per_channel));
}

void Interrupts::write(std::uint64_t value, std::uint64_t bytes) {
  bool send = false;
  {
    Lock const lock(mutex_);
    write_locked(value, bytes);
    send = update();
    word_.show(shown());
  }
  if (send && slot_.bus_master()) slot_.raise(0);
}

std::uint64_t Interrupts::look() {
  Lock const lock(mutex_);
  auto const write = word_.written();
  if (write.fields == 0) {
    word_.restore();
    return writes_;
  }
  write_locked(write.value, write.fields);
  if ((write.fields & control_field) != 0) {
    writes_++;
    // Reading ATTNSTATUS through a mapping cannot clear it: a handler that has done so writes INTRCTRL next.
    attention_ = 0;
  }
  (void)update();
  word_.take(write, shown());
  return writes_;
}

bool Interrupts::update() {
  bool const assert = attention_ != 0 && (control_ & intrctrl::master_enable) != 0;
  if (assert == asserted_) return false;
  asserted_ = assert;
  slot_.set_line(assert);
  return assert;
}

void Interrupts::raise(unsigned channel) {
  unsigned vector = 0;
  {
    Lock const lock(mutex_);
    if ((control_ & intrctrl::vector_per_channel) != 0) {
      vector = channel;
    } else {
      attention_ |= 1u << channel;
      bool const send = update();
      word_.show(shown());
      if (!send) return;
    }
  }
  slot_.raise(vector);
}

void Interrupts::reset() {
  Lock const lock(mutex_);
  general_ = control_ = 0;
  attention_ = 0;
  (void)update();
  word_.reset(shown());
}

}  // namespace swiommu::vfio::ioat
