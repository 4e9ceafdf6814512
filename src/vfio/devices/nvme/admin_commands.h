// The admin command set. NVM Express 1.4, 5.
#pragma once
#include "vfio/devices/nvme/host_memory.h"
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

// Threads: one at a time.
class AdminCommands {
 public:
  AdminCommands(State& state, HostMemory& memory) : state_(state), memory_(memory) {}
  // Of queue 0.
  Outcome run(Command const& command, SubmissionQueue const& queue);
  // Completes a request with an event, if there are both and there is room. Takes the queue's `running`.
  bool deliver_event(SubmissionQueue& queue);

 private:
  Outcome set_features(Command const& command);
  Status identify_to_host(Command const& command);
  Status get_log_page(Command const& command);
  Outcome abort(Command const& command, SubmissionQueue const& queue);
  Status give(Command const& command, std::span<std::byte const> data);

  State& state_;
  HostMemory& memory_;
};

}  // namespace swiommu::vfio::nvme
