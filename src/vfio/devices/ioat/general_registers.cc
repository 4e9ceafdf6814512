#include "vfio/devices/ioat/general_registers.h"

namespace swiommu::vfio::ioat {
namespace {

constexpr std::uint64_t general_field = std::uint64_t{0xff} << 16, control_field = std::uint64_t{0xff} << 24,
                        attention_field = ~std::uint64_t{0} << 32, delay_field = std::uint64_t{0x3fff} << 32;

// Set where a mapping shows INTRCTRL, so that the same value is noticed when it is written again; reserved.
constexpr std::uint64_t control_taken = 0x80u << 24;

}  // namespace

GeneralRegisters::GeneralRegisters(Slot& slot, RegisterMemory const& memory, IoatOptions const& options)
    : slot_(slot),
      fixed_(options.channels | static_cast<std::uint64_t>(options.largest_transfer_lg2) << 8),
      control_word_(memory, offset::chancnt, {general_field, control_field, 0}),
      version_word_(memory, offset::cbver, {delay_field, 0, 0}),
      capabilities_word_(memory, offset::dmacapability, {}) {
  reset();
}

std::uint64_t GeneralRegisters::control_word() const {
  std::uint64_t control = control_;
  if (attention_ != 0) control |= intrctrl::status;
  if (asserted_) control |= intrctrl::asserted;
  return fixed_ | static_cast<std::uint64_t>(general_) << 16 | control << 24 | static_cast<std::uint64_t>(attention_) << 32;
}

std::uint64_t GeneralRegisters::control_shown() const { return control_word() | control_taken; }

std::uint64_t GeneralRegisters::version_word() const { return version | static_cast<std::uint64_t>(delay_) << 32; }

std::uint64_t GeneralRegisters::read(std::uint64_t word, std::uint64_t bytes) {
  Lock const lock(mutex_);
  if (word == offset::cbver) return version_word();
  if (word != offset::chancnt) return 0;
  std::uint64_t const value = control_word();
  if ((bytes & control_field) != 0) control_ &= static_cast<std::uint8_t>(~intrctrl::master_enable);
  if ((bytes & attention_field) != 0) attention_ = 0;
  (void)update();
  control_word_.show(control_shown());
  return value;
}

void GeneralRegisters::write_control(std::uint64_t value, std::uint64_t fields) {
  if ((fields & general_field) != 0) general_ = static_cast<std::uint8_t>(value >> 16 & 1);
  if ((fields & control_field) != 0)
    control_ = static_cast<std::uint8_t>(value >> 24 & (intrctrl::master_enable | intrctrl::vector_per_channel));
}

void GeneralRegisters::write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes) {
  bool send = false;
  {
    Lock const lock(mutex_);
    if (word == offset::cbver) {
      write_delay(value, bytes);
      version_word_.show(version_word());
    }
    if (word != offset::chancnt) return;
    write_control(value, bytes);
    send = update();
    control_word_.show(control_shown());
  }
  if (send && slot_.bus_master()) slot_.raise(0);
}

void GeneralRegisters::write_delay(std::uint64_t value, std::uint64_t fields) {
  std::uint64_t const mask = delay_field & fields;
  delay_ = static_cast<std::uint16_t>((delay_ & ~(mask >> 32)) | (value & mask) >> 32);
}

std::uint64_t GeneralRegisters::look() {
  Lock const lock(mutex_);
  if (auto const write = version_word_.written(); write.fields != 0) {
    write_delay(write.value, write.fields);
    version_word_.take(write, version_word());
  }
  version_word_.restore();
  capabilities_word_.restore();
  auto const write = control_word_.written();
  if (write.fields == 0) {
    control_word_.restore();
    return writes_;
  }
  write_control(write.value, write.fields);
  if ((write.fields & control_field) != 0) {
    writes_++;
    // Reading ATTNSTATUS through a mapping cannot clear it: a handler that has done so writes INTRCTRL next.
    attention_ = 0;
  }
  (void)update();
  control_word_.take(write, control_shown());
  return writes_;
}

bool GeneralRegisters::update() {
  bool const assert = attention_ != 0 && (control_ & intrctrl::master_enable) != 0;
  if (assert == asserted_) return false;
  asserted_ = assert;
  slot_.set_line(assert);
  return assert;
}

void GeneralRegisters::raise(unsigned channel) {
  unsigned vector = 0;
  {
    Lock const lock(mutex_);
    if ((control_ & intrctrl::vector_per_channel) != 0) {
      vector = channel;
    } else {
      attention_ |= 1u << channel;
      bool const send = update();
      control_word_.show(control_shown());
      if (!send) return;
    }
  }
  slot_.raise(vector);
}

void GeneralRegisters::reset() {
  Lock const lock(mutex_);
  general_ = control_ = 0;
  delay_ = 0;
  attention_ = 0;
  (void)update();
  control_word_.reset(control_shown());
  version_word_.reset(version_word());
  capabilities_word_.reset(0);
}

}  // namespace swiommu::vfio::ioat
