// One line of the log for each ioctl.
#pragma once
#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::run {

// Does the ioctl; if there is a log, says in it what was asked, what came back, and why it failed.
Result<std::uint64_t> logged_ioctl(iommufd::OpenFile& file, iommufd::Caller& caller, std::uint32_t request,
                                   std::uint64_t argument);

}  // namespace swiommu::run
