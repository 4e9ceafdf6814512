// One command, from its submission queue to its completion queue.
#pragma once
#include "swiommu/base/function_ref.h"
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

// Takes the next command of the queue, if there is one and room for its completion, and runs it. True: there was one.
bool run_next(State& state, SubmissionQueue& queue, HostMemory& memory, FunctionRef<Outcome(Command const&)> run);

// Posts a completion into the place that was reserved for it. With a pass of the gate.
void complete(State& state, SubmissionQueue const& queue, HostMemory& memory, Command const& command, Outcome const& outcome);

}  // namespace swiommu::vfio::nvme
