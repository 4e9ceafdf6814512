// Accesses of the host to BAR 0, by calls and through mappings.
#include <cstring>

#include "vfio/devices/nvme/controller.h"

namespace swiommu::vfio::nvme {
namespace {

constexpr std::uint64_t word_bytes = sizeof(std::uint32_t);

// Registers that keep what is written, so that a part of one can be written.
bool keeps(std::uint64_t at) { return at == offset::cc || (at >= offset::aqa && at < offset::acq + 8); }

}  // namespace

std::uint32_t Controller::read_word(std::uint64_t at) const {
  if (at == offset::intms || at == offset::intmc) return state_->interrupts.mask();
  return state_->registers.read(at);
}

void Controller::read_bar(unsigned bar, std::uint64_t at, std::span<std::byte> to) {
  if (bar != 0) return;
  std::uint32_t const words[] = {read_word(at / word_bytes * word_bytes),
                                 to.size() > word_bytes ? read_word(at + word_bytes) : 0};
  std::memcpy(to.data(), reinterpret_cast<std::byte const*>(words) + at % word_bytes, to.size());
}

void Controller::write_bar(unsigned bar, std::uint64_t at, std::span<std::byte const> from) {
  if (bar != 0) return;
  std::uint64_t const start = at / word_bytes * word_bytes;
  std::uint32_t words[2] = {from.size() < word_bytes && keeps(start) ? read_word(start) : 0, 0};
  std::memcpy(reinterpret_cast<std::byte*>(words) + at % word_bytes, from.data(), from.size());
  write_word(start, words[0]);
  if (from.size() > word_bytes) write_word(start + word_bytes, words[1]);
}

void Controller::write_word(std::uint64_t at, std::uint32_t value) {
  if (at >= offset::doorbells) return ring(at, value);
  if (at == offset::intms) return state_->interrupts.set_mask(value, 0, state_->queues);
  if (at == offset::intmc) return state_->interrupts.set_mask(0, value, state_->queues);
  if (!keeps(at)) return;
  bool const was_enabled = at == offset::cc && state_->registers.configuration().enabled();
  state_->registers.store(at, value);
  if (at != offset::cc) return;
  if (was_enabled && !Configuration{value}.enabled()) disable_wanted_.store(true);
  state_->control_wakeup.wake();
}

void Controller::ring(std::uint64_t at, std::uint32_t value) {
  if (!state_->registers.running()) return;
  auto const number = static_cast<std::uint32_t>((at - offset::doorbells) / word_bytes);
  std::uint32_t const id = number / 2;
  if (number % 2 == 0) {
    auto const queue = state_->queues.submission(id);
    if (!queue) return state_->bad_doorbell(event::invalid_doorbell_register);
    if (!queue->ring(value)) return state_->bad_doorbell(event::invalid_doorbell_value);
    state_->wakeup_of(queue->id()).wake();
    return;
  }
  auto const queue = state_->queues.completion(id);
  if (!queue) return state_->bad_doorbell(event::invalid_doorbell_register);
  if (!queue->ring(value)) return state_->bad_doorbell(event::invalid_doorbell_value);
  state_->interrupts.taken(*queue);
  if (!queue->freed()) return;
  state_->control_wakeup.wake();
  state_->wake_workers();
}

// What is written through a mapping is found here, but for CC, and the doorbells of submission queues, which their threads see.
// INTMS and INTMC read as 0 there: otherwise writing what they read as could not be told from not writing.
void Controller::look_at_mapping() {
  Registers& registers = state_->registers;
  registers.publish();
  auto const taken = [&](std::uint64_t at) { return registers.memory()->word<std::uint32_t>(at).exchange(0); };
  if (registers.raw(offset::intms) != 0) state_->interrupts.set_mask(taken(offset::intms), 0, state_->queues);
  if (registers.raw(offset::intmc) != 0) state_->interrupts.set_mask(0, taken(offset::intmc), state_->queues);
  if (!registers.running()) return;
  for (auto const& queue : state_->queues.completions()) {
    if (!queue->look()) state_->bad_doorbell(event::invalid_doorbell_value);
    state_->interrupts.taken(*queue);
    if (queue->freed()) state_->wake_workers();
  }
  std::uint64_t const end = offset::doorbells + 2 * word_bytes * (state_->queues.last() + 1u);
  for (std::uint64_t at = offset::doorbells; at < end; at += word_bytes) {
    std::uint32_t const id = static_cast<std::uint32_t>((at - offset::doorbells) / word_bytes) / 2;
    if (registers.raw(at) == 0) continue;
    bool const there =
        at % (2 * word_bytes) == 0 ? state_->queues.submission(id) != nullptr : state_->queues.completion(id) != nullptr;
    if (there) continue;
    (void)taken(at);
    state_->bad_doorbell(event::invalid_doorbell_register);
  }
}

}  // namespace swiommu::vfio::nvme
