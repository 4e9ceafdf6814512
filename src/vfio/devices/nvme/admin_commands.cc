#include "vfio/devices/nvme/admin_commands.h"

#include <algorithm>
#include <vector>

#include "vfio/devices/nvme/log_pages.h"
#include "vfio/devices/nvme/queue_commands.h"
#include "vfio/devices/nvme/run_command.h"

namespace swiommu::vfio::nvme {

Outcome AdminCommands::run(Command const& command, SubmissionQueue const& queue) {
  // 4.2: admin commands name memory by PRPs, over PCI Express.
  if (command.fused() || command.names() != Command::Names::prp) return {status::invalid_field};
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::delete_submission_queue: return {delete_submission_queue(state_, command)};
    case AdminOpcode::create_submission_queue: return {create_submission_queue(state_, command)};
    case AdminOpcode::delete_completion_queue: return {delete_completion_queue(state_, command)};
    case AdminOpcode::create_completion_queue: return {create_completion_queue(state_, command)};
    case AdminOpcode::get_log_page: return {get_log_page(command)};
    case AdminOpcode::identify: return {identify_to_host(command)};
    case AdminOpcode::abort: return abort(command, queue);
    case AdminOpcode::set_features: return set_features(command);
    case AdminOpcode::get_features: return state_.features.get(command);
    case AdminOpcode::asynchronous_event_request:
      if (!state_.events.request(command.id)) return {status::too_many_event_requests};
      return {.later = true};
  }
  return {status::invalid_opcode};
}

Status AdminCommands::give(Command const& command, std::span<std::byte const> data) {
  Status const located = memory_.locate(command, data.size(), state_.page_size_lg2);
  return located.ok() ? memory_.store(data) : located;
}

Status AdminCommands::identify_to_host(Command const& command) {
  DataPage page;
  Status const status = identify(command, state_.description.identity, state_.options, state_.namespaces, page);
  return status.ok() ? give(command, page.span()) : status;
}

Status AdminCommands::get_log_page(Command const& command) {
  DataPage page;
  std::size_t bytes = 0;
  Status status = log_page(command, state_, page, bytes);
  if (!status.ok()) return status;
  std::uint64_t const wanted = ((command.cdw10 >> 16 | static_cast<std::uint64_t>(command.cdw11 & 0xffff) << 16) + 1) * 4;
  std::uint64_t const offset = command.cdw12 | static_cast<std::uint64_t>(command.cdw13) << 32;
  if (offset % 4 != 0 || offset > bytes || wanted > state_.largest_transfer()) return status::invalid_field;
  std::vector<std::byte> data(wanted);  // zeros beyond the log
  std::ranges::copy(page.span().subspan(offset, std::min<std::uint64_t>(wanted, bytes - offset)), data.begin());
  status = give(command, data);
  bool const retain = (command.cdw10 & 1u << 15) != 0;
  if (status.ok() && !retain) state_.events.unmask(static_cast<std::uint8_t>(command.cdw10));
  return status;
}

Outcome AdminCommands::set_features(Command const& command) {
  bool const cached = state_.features.write_cache();
  Outcome const outcome = state_.features.set(command, state_.queues.any_for_io());
  // What was written while the cache was on is kept when it is off.
  if (cached && !state_.features.write_cache())
    if (Status const flushed = state_.flush(); !flushed.ok()) return {flushed};
  bool const threshold = feature_of(command) == Feature::temperature_threshold;
  if (outcome.status.ok() && threshold && state_.features.temperature_warning() && state_.features.temperature_events())
    state_.events.add(event::temperature_threshold);
  return outcome;
}

// Other commands than event requests are run when they are fetched, so there is nothing left of them to abort.
Outcome AdminCommands::abort(Command const& command, SubmissionQueue const& queue) {
  auto const submission = static_cast<std::uint16_t>(command.cdw10), id = static_cast<std::uint16_t>(command.cdw10 >> 16);
  constexpr std::uint32_t aborted = 0, not_aborted = 1;
  if (!state_.queues.submission(submission)) return {status::invalid_field};
  if (submission != 0 || !queue.completions().reserve()) return {status::success, not_aborted};
  if (!state_.events.abort(id)) {
    queue.completions().give_back();
    return {status::success, not_aborted};
  }
  complete(state_, queue, memory_, {.id = id}, {status::abort_requested});
  return {status::success, aborted};
}

bool AdminCommands::deliver_event(SubmissionQueue& queue) {
  if (!state_.events.deliverable()) return false;
  Lock const running(queue.running);
  Gate::Pass const pass(state_.gate);
  if (!pass || queue.closed || !state_.registers.running() || !queue.completions().reserve()) return false;
  auto const delivery = state_.events.deliver();
  if (!delivery) {
    queue.completions().give_back();
    return false;
  }
  complete(state_, queue, memory_, {.id = delivery->command}, {status::success, delivery->event.result()});
  return true;
}

}  // namespace swiommu::vfio::nvme
