// The registers of a channel, and the state that they are a view of.
#pragma once
#include <cstdint>

#include "vfio/devices/ioat/register_word.h"
#include "vfio/devices/ioat/registers.h"

namespace swiommu::vfio::ioat {

// A descriptor to be run.
struct Job {
  std::uint64_t address = 0;
  bool first = false;            // the address is CHAINADDR's
  std::uint64_t generation = 0;  // of the chain
};

// Threads: one at a time.
class ChannelRegisters {
 public:
  // `base` is where they begin in the BAR.
  ChannelRegisters(RegisterMemory const& memory, std::uint64_t base);

  // Accesses by calls; `word` is a multiple of 8, `bytes` masks those that are written.
  [[nodiscard]] std::uint64_t read(std::uint64_t word) const;
  void write(std::uint64_t word, std::uint64_t value, std::uint64_t bytes);
  // Finds what was written through a mapping. True: something was.
  bool look();

  // CHANCMD. A command is done by the thread that runs descriptors, between two of them; the bit is set until then.
  [[nodiscard]] bool reset_wanted() const { return (control_.raw() >> 32 & chancmd::reset) != 0; }
  // True: there was a command.
  bool obey();
  // A program that has reset the channel goes on. It may look at CHANSTS next, just after it has written DMACOUNT, and would take
  // the state that the reset left for an error.
  void arm();

  [[nodiscard]] bool ready() const { return state_ == ChannelState::active && commands_ == 0; }
  [[nodiscard]] Job job() const { return {next_, first_, generation_}; }
  [[nodiscard]] bool is_current(Job const& job) const { return job.generation == generation_; }
  // CHANSTS as it will be.
  [[nodiscard]] std::uint64_t status_after(Job const& job) const;
  [[nodiscard]] std::uint64_t status_halted() const;
  [[nodiscard]] std::uint64_t completion_address() const { return completion_address_; }
  [[nodiscard]] bool completes_errors() const { return (control_bits_ & chanctrl::error_completion) != 0; }

  // The descriptor has been run, and the one at `next` is the next. True: an interrupt that it asks for is allowed.
  bool complete(Job const& job, std::uint64_t next, bool interrupt);
  // CHANERR; the channel stops. True: there is to be an interrupt.
  bool halt(std::uint32_t errors);

  // As at first.
  void reset();

 private:
  void write_control(std::uint64_t value, std::uint64_t fields);
  void write_chain(std::uint64_t address);
  void restart();
  void show_status();
  bool take_interrupt();
  [[nodiscard]] std::uint64_t status() const;
  [[nodiscard]] std::uint64_t control_shown() const;
  [[nodiscard]] std::uint64_t chain_shown() const;
  [[nodiscard]] std::uint64_t errors_shown() const;

  RegisterWord control_, status_, chain_, completion_, current_, error_;

  ChannelState state_ = ChannelState::halted;
  std::uint16_t control_bits_ = 0;
  bool interrupt_allowed_ = true;
  std::uint8_t commands_ = 0;  // to be obeyed
  std::uint16_t count_ = 0, processed_ = 0;
  std::uint64_t chain_address_ = 0, completion_address_ = 0;
  std::uint64_t next_ = 0, completed_ = 0, current_address_ = 0;
  bool first_ = true;
  std::uint64_t generation_ = 0;
  std::uint32_t errors_ = 0, errors_masked_ = 0;
};

}  // namespace swiommu::vfio::ioat
