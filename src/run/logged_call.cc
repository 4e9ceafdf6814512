#include "run/logged_call.h"

#include <cstring>

#include "run/call_log.h"

namespace swiommu::run {

Result<std::uint64_t> logged_ioctl(iommufd::OpenFile& file, iommufd::Caller& caller, std::uint32_t request,
                                   std::uint64_t argument) {
  auto result = file.ioctl(caller, request, argument);
  if (logging()) {
    if (result)
      log_line("{} ioctl {:#x}: {}", file.name(), request, *result);
    else
      log_line("{} ioctl {:#x}: {}: {}", file.name(), request, ::strerrorname_np(result.error().code), result.error().about);
  }
  return result;
}

}  // namespace swiommu::run
