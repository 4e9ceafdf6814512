#include "vfio/devices/nvme/queue_commands.h"

#include "swiommu/base/bits.h"

namespace swiommu::vfio::nvme {
namespace {

constexpr unsigned submission_entry_lg2 = 6, completion_entry_lg2 = 4;

std::uint16_t id_of(Command const& command) { return static_cast<std::uint16_t>(command.cdw10); }
std::uint32_t entries_of(Command const& command) { return (command.cdw10 >> 16) + 1; }
bool is_id(State const& state, std::uint16_t id) { return id != 0 && id <= state.queues.last(); }

// What both kinds have in common. CAP.CQR is 1: queues lie in one piece.
Status check(State const& state, Command const& command) {
  if (entries_of(command) < 2 || entries_of(command) > state.options.queue_entries) return status::invalid_queue_size;
  if ((command.cdw11 & 1) == 0) return status::invalid_field;
  if (!is_aligned(command.prp1, state.page_size_lg2)) return status::prp_offset_invalid;
  return status::success;
}

}  // namespace

Status create_completion_queue(State& state, Command const& command) {
  std::uint16_t const id = id_of(command), vector = static_cast<std::uint16_t>(command.cdw11 >> 16);
  if (!is_id(state, id) || state.queues.completion(id)) return status::invalid_queue_identifier;
  if (Status const checked = check(state, command); !checked.ok()) return checked;
  bool const interrupts = (command.cdw11 & 2) != 0;
  if (interrupts && vector >= state.description.msix.vectors) return status::invalid_interrupt_vector;
  if (state.registers.configuration().completion_entry_lg2() != completion_entry_lg2) return status::invalid_field;
  CompletionQueueOptions const options{
      .id = id, .iova = command.prp1, .entries = entries_of(command), .vector = vector, .interrupts = interrupts};
  state.queues.add(std::make_shared<CompletionQueue>(state.registers, options));
  return status::success;
}

Status create_submission_queue(State& state, Command const& command) {
  std::uint16_t const id = id_of(command), completions = static_cast<std::uint16_t>(command.cdw11 >> 16);
  if (!is_id(state, id) || state.queues.submission(id)) return status::invalid_queue_identifier;
  if (!is_id(state, completions)) return status::invalid_queue_identifier;
  auto completion_queue = state.queues.completion(completions);
  if (!completion_queue) return status::completion_queue_invalid;
  if (Status const checked = check(state, command); !checked.ok()) return checked;
  if (state.registers.configuration().submission_entry_lg2() != submission_entry_lg2) return status::invalid_field;
  state.queues.add(std::make_shared<SubmissionQueue>(state.registers, id, command.prp1, entries_of(command), completion_queue));
  completion_queue->users++;
  state.wakeup_of(id).wake();
  return status::success;
}

Status delete_submission_queue(State& state, Command const& command) {
  std::uint16_t const id = id_of(command);
  auto const queue = state.queues.submission(id);
  if (!is_id(state, id) || !queue) return status::invalid_queue_identifier;
  state.queues.remove_submission(id);
  queue->completions().users--;
  state.wakeup_of(id).wake();  // so that its thread lets go of it
  return status::success;
}

Status delete_completion_queue(State& state, Command const& command) {
  std::uint16_t const id = id_of(command);
  auto const queue = state.queues.completion(id);
  if (!is_id(state, id) || !queue) return status::invalid_queue_identifier;
  if (queue->users != 0) return status::invalid_queue_deletion;
  state.queues.remove_completion(id);
  state.interrupts.forget(id);
  return status::success;
}

}  // namespace swiommu::vfio::nvme
