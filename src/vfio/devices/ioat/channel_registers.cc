#include "vfio/devices/ioat/channel_registers.h"

#include "swiommu/base/bits.h"

namespace swiommu::vfio::ioat {
namespace {

constexpr std::uint64_t low_half = low_bits(32), high_half = ~low_half;
constexpr std::uint64_t control_field = 0xffff, command_field = std::uint64_t{0xff} << 32,
                        count_field = std::uint64_t{0xffff} << 48;
constexpr std::uint64_t compatible = std::uint64_t{0x0002} << 16;  // DMA_COMP

// Where a mapping shows CHAINADDR, so that the same address is noticed when it is written again: no aligned address.
constexpr std::uint64_t chain_taken = 0x15;

// What a mapping shows as DMACOUNT, for the same reason: far from the counts that go on from this one, and none that begin anew.
constexpr std::uint16_t count_taken(std::uint16_t count) { return count < 0x8000 ? 0 : 0x4000; }

constexpr std::uint64_t merge(std::uint64_t old, std::uint64_t value, std::uint64_t mask) {
  return (old & ~mask) | (value & mask);
}

}  // namespace

ChannelRegisters::ChannelRegisters(RegisterMemory const& memory, std::uint64_t base)
    : control_(memory, base + offset::chanctrl, {control_field, command_field, count_field}),
      status_(memory, base + offset::chansts, {}),
      chain_(memory, base + offset::chainaddr, {low_half, high_half}),
      completion_(memory, base + offset::chancmp, {low_half, high_half}),
      current_(memory, base + offset::cdar, {}),
      error_(memory, base + offset::chanerr, {low_half, high_half}) {
  reset();
}

std::uint64_t ChannelRegisters::status() const { return completed_ | static_cast<std::uint64_t>(state_); }

std::uint64_t ChannelRegisters::control_shown() const {
  return control_bits_ | compatible | static_cast<std::uint64_t>(commands_) << 32 |
         static_cast<std::uint64_t>(count_taken(count_)) << 48;
}

std::uint64_t ChannelRegisters::chain_shown() const { return chain_address_ | chain_taken; }

std::uint64_t ChannelRegisters::errors_shown() const { return errors_ | static_cast<std::uint64_t>(errors_masked_) << 32; }

std::uint64_t ChannelRegisters::read(std::uint64_t word) const {
  switch (word) {
    case offset::chanctrl:
      return merge(control_shown(), static_cast<std::uint64_t>(count_) << 48, count_field) |
             (interrupt_allowed_ ? 0u : chanctrl::interrupt_disabled);
    case offset::chansts: return status();
    case offset::chainaddr: return chain_address_;
    case offset::chancmp: return completion_address_;
    case offset::cdar: return current_address_;
    case offset::chanerr: return errors_shown();
    default: return 0;
  }
}

void ChannelRegisters::write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes) {
  switch (word) {
    case offset::chanctrl: {
      // a bit that is written to have an effect is not among those that a part of the word leaves as they are
      std::uint64_t const all = merge(read(word) & ~(chanctrl::interrupt_disabled | command_field), value, bytes);
      std::uint64_t fields = 0;
      for (std::uint64_t const each : {control_field, command_field, count_field})
        if ((bytes & each) != 0) fields |= each;
      write_control(all, fields);
      return control_.show(control_shown());
    }
    case offset::chainaddr: write_chain(merge(chain_address_, value, bytes)); return chain_.show(chain_shown());
    case offset::chancmp:
      completion_address_ = merge(completion_address_, value, bytes);
      return completion_.show(completion_address_);
    case offset::chanerr:
      errors_ &= ~static_cast<std::uint32_t>(value & bytes);
      errors_masked_ = static_cast<std::uint32_t>(merge(errors_shown(), value, bytes) >> 32);
      return error_.show(errors_shown());
    default: return;
  }
}

// The control word is loaded before, and acted on after the others: what a program has written before DMACOUNT or CHANCMD counts.
bool ChannelRegisters::look() {
  RegisterWord::Write const control = control_.written();
  bool found = control.fields != 0;
  if (auto const write = chain_.written(); write.fields != 0) {
    write_chain(merge(chain_address_, write.value, write.fields));
    chain_.take(write, chain_shown());
    found = true;
  }
  if (auto const write = completion_.written(); write.fields != 0) {
    completion_address_ = merge(completion_address_, write.value, write.fields);
    completion_.take(write, completion_address_);
    found = true;
  }
  if (auto const write = error_.written(); write.fields != 0) {
    if ((write.fields & low_half) != 0) errors_ &= ~static_cast<std::uint32_t>(write.value);
    errors_masked_ = static_cast<std::uint32_t>(merge(errors_shown(), write.value, write.fields & high_half) >> 32);
    error_.take(write, errors_shown());
    found = true;
  }
  if (control.fields != 0) {
    write_control(control.value, control.fields);
    control_.take(control, control_shown());
  }
  status_.restore();
  current_.restore();
  return found;
}

void ChannelRegisters::write_control(std::uint64_t value, std::uint64_t fields) {
  if ((fields & control_field) != 0) {
    control_bits_ = static_cast<std::uint16_t>(value & chanctrl::kept);
    if ((value & chanctrl::interrupt_disabled) != 0) interrupt_allowed_ = true;
  }
  if ((fields & command_field) != 0)
    commands_ = static_cast<std::uint8_t>(
        commands_ | ((value & command_field) >> 32 & (chancmd::append | chancmd::suspend | chancmd::resume | chancmd::reset)));
  if ((fields & count_field) != 0) {
    count_ = static_cast<std::uint16_t>(value >> 48);
    if (state_ != ChannelState::suspended) restart();
  }
}

// The count and what it is compared with begin anew.
void ChannelRegisters::write_chain(std::uint64_t address) {
  chain_address_ = next_ = address;
  first_ = true;
  count_ = processed_ = 0;
  completed_ = 0;
  generation_++;
  control_.show(control_shown());
  if (errors_ == 0) state_ = ChannelState::armed;
  show_status();
}

void ChannelRegisters::restart() {
  if (errors_ != 0) return;
  if (count_ != processed_)
    state_ = ChannelState::active;
  else if (state_ == ChannelState::active)
    state_ = ChannelState::done;
  show_status();
}

bool ChannelRegisters::obey() {
  if (commands_ == 0) return false;
  bool const running = state_ != ChannelState::halted;
  if ((commands_ & chancmd::reset) != 0) {
    generation_++;
    chain_address_ = completion_address_ = next_ = completed_ = current_address_ = 0;
    first_ = true;
    count_ = processed_ = 0;
    errors_ = 0;
    state_ = ChannelState::halted;
    chain_.show(chain_shown());
    completion_.show(completion_address_);
    error_.show(errors_shown());
  } else if ((commands_ & chancmd::suspend) != 0) {
    if (running) state_ = ChannelState::suspended;
  } else if (state_ == ChannelState::suspended) {
    state_ = ChannelState::done;
    restart();
  }
  commands_ = 0;
  show_status();
  control_.show(control_shown());  // last: whoever sees that the bit is gone looks at the others
  return true;
}

void ChannelRegisters::arm() {
  if (state_ != ChannelState::halted || errors_ != 0) return;
  state_ = ChannelState::armed;
  show_status();
}

void ChannelRegisters::show_status() {
  current_.show(current_address_);
  status_.show(status());
}

std::uint64_t ChannelRegisters::status_after(Job const& job) const {
  auto const state = count_ == static_cast<std::uint16_t>(processed_ + 1) ? ChannelState::done : ChannelState::active;
  return align_down(job.address, 6) | static_cast<std::uint64_t>(state);
}

std::uint64_t ChannelRegisters::status_halted() const { return completed_ | static_cast<std::uint64_t>(ChannelState::halted); }

bool ChannelRegisters::take_interrupt() {
  bool const allowed = interrupt_allowed_;
  interrupt_allowed_ = false;
  return allowed;
}

bool ChannelRegisters::complete(Job const& job, std::uint64_t next, bool interrupt) {
  completed_ = current_address_ = job.address;
  next_ = next;
  first_ = false;
  processed_++;
  if (count_ == processed_) state_ = ChannelState::done;
  bool const raised = interrupt && take_interrupt();
  show_status();
  return raised;
}

bool ChannelRegisters::halt(std::uint32_t errors) {
  errors_ |= errors;
  state_ = ChannelState::halted;
  current_address_ = next_;
  error_.show(errors_shown());
  bool const raised = (control_bits_ & chanctrl::error_interrupt) != 0 && (errors & ~errors_masked_) != 0 && take_interrupt();
  show_status();
  return raised;
}

void ChannelRegisters::reset() {
  state_ = ChannelState::halted;
  control_bits_ = 0;
  interrupt_allowed_ = true;
  commands_ = 0;
  count_ = processed_ = 0;
  chain_address_ = completion_address_ = next_ = completed_ = current_address_ = 0;
  first_ = true;
  generation_++;
  errors_ = errors_masked_ = 0;
  status_.reset(status());
  chain_.reset(chain_shown());
  completion_.reset(0);
  current_.reset(0);
  error_.reset(0);
  control_.reset(control_shown());
}

}  // namespace swiommu::vfio::ioat
