// Creating and deleting I/O queues. NVM Express 1.4, 5.3 to 5.6.
#pragma once
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

Status create_completion_queue(State& state, Command const& command);
Status create_submission_queue(State& state, Command const& command);
Status delete_submission_queue(State& state, Command const& command);
Status delete_completion_queue(State& state, Command const& command);

}  // namespace swiommu::vfio::nvme
