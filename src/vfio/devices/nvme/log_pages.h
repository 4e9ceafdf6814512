// Get Log Page. NVM Express 1.4, 5.14.
#pragma once
#include "vfio/devices/nvme/state.h"

namespace swiommu::vfio::nvme {

// Fills the page of the log that the command names; all of ours have at most that many bytes, and are followed by nothing.
Status log_page(Command const& command, State const& state, DataPage& page, std::size_t& bytes);

}  // namespace swiommu::vfio::nvme
