#include "vfio/devices/nvme/run_command.h"

#include <new>

namespace swiommu::vfio::nvme {
namespace {

// What the host asked for, and is told anyway, is no error.
bool is_logged(Status status) { return !status.ok() && status != status::compare_failure && status != status::abort_requested; }

Outcome run_guarded(FunctionRef<Outcome(Command const&)> run, Command const& command) {
  try {
    return run(command);
  } catch (std::bad_alloc const&) {
    return {status::internal_error};
  }
}

}  // namespace

void complete(State& state, SubmissionQueue const& queue, HostMemory& memory, Command const& command, Outcome const& outcome) {
  bool const logged = is_logged(outcome.status);
  std::uint16_t const field = outcome.status.field(logged);
  if (logged)
    state.errors.add(
        {.submission_queue = queue.id(), .command = command.id, .status_field = field, .lba = outcome.lba, .nsid = command.nsid});
  Completion const completion{.result = outcome.result,
                              .submission_head = static_cast<std::uint16_t>(queue.head()),
                              .submission_queue = queue.id(),
                              .command = command.id,
                              .status = field};
  if (queue.completions().post(memory, completion))
    state.interrupts.posted(queue.completions());
  else
    state.fail();
}

bool run_next(State& state, SubmissionQueue& queue, HostMemory& memory, FunctionRef<Outcome(Command const&)> run) {
  Lock const running(queue.running);
  Gate::Pass const pass(state.gate);
  if (!pass || queue.closed || !state.registers.running()) return false;
  if (!queue.look()) state.bad_doorbell(event::invalid_doorbell_value);
  if (queue.empty() || !queue.completions().reserve()) return false;
  Command command;
  if (!queue.fetch(memory, command)) {
    queue.completions().give_back();
    state.fail();
    return false;
  }
  Outcome const outcome = run_guarded(run, command);
  if (outcome.later)
    queue.completions().give_back();
  else
    complete(state, queue, memory, command, outcome);
  return true;
}

}  // namespace swiommu::vfio::nvme
