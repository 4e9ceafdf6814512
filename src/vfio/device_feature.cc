// VFIO_DEVICE_FEATURE.
#include <fmt/format.h>

#include "swiommu/uapi/vfio.h"
#include "vfio/argument.h"
#include "vfio/device_file.h"

namespace swiommu::vfio {
namespace {

constexpr std::uint32_t ways = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;

// What a feature is that can only be set, of `bytes` of data. False: it was only asked whether it is there.
Result<bool> is_set(vfio_device_feature const& given, std::size_t bytes) {
  if ((given.flags & VFIO_DEVICE_FEATURE_GET) != 0) return fail(EINVAL, "the feature can be set, and not be read");
  if ((given.flags & VFIO_DEVICE_FEATURE_PROBE) != 0) return false;
  if ((given.flags & ways) == 0) return fail(EINVAL, "the feature is neither set, nor read, nor probed");
  if (given.argsz - sizeof given < bytes) return fail(EINVAL, fmt::format("argsz {} has no room for the data", given.argsz));
  return true;
}

}  // namespace

Result<void> DeviceFile::feature(iommufd::Caller& caller, std::uint64_t argument) {
  vfio_device_feature given{};
  SWIOMMU_TRY(read_argument(caller, argument, SWIOMMU_END_OF(vfio_device_feature, flags), given));
  if ((given.flags & ~(std::uint32_t{VFIO_DEVICE_FEATURE_MASK | VFIO_DEVICE_FEATURE_PROBE} | ways)) != 0)
    return fail(EINVAL, fmt::format("there are no flags {:#x}", given.flags));
  if ((given.flags & VFIO_DEVICE_FEATURE_PROBE) == 0 && (given.flags & ways) == ways)
    return fail(EINVAL, "a feature is set or read, not both");
  std::uint32_t const number = given.flags & VFIO_DEVICE_FEATURE_MASK;
  switch (number) {
    case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY:
    case VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP: {
      bool const wakes = number == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
      vfio_device_low_power_entry_with_wakeup entry{};
      auto const set = is_set(given, wakes ? sizeof entry : 0);
      if (!set) return std::unexpected(set.error());
      if (!*set) return {};
      if (wakes) {
        if (!caller.copy_in(argument + sizeof given, std::as_writable_bytes(std::span(&entry, 1))))
          return fail(EFAULT, "the data cannot be read");
        if (entry.reserved != 0 || entry.wakeup_eventfd < 0) return fail(EINVAL, "reserved is not 0, or there is no eventfd");
        // Nothing wakes the function but its user.
        if (auto const event = EventDescriptor::borrow(caller, entry.wakeup_eventfd); !event)
          return std::unexpected(event.error());
      }
      if (!function_->set_low_power(true)) return fail(EINVAL, "the function is in low power already");
      return {};
    }
    case VFIO_DEVICE_FEATURE_LOW_POWER_EXIT: {
      auto const set = is_set(given, 0);
      if (!set) return std::unexpected(set.error());
      if (*set) function_->set_low_power(false);
      return {};
    }
    default: return fail(ENOTTY, fmt::format("the function has no feature {}", number));
  }
}

}  // namespace swiommu::vfio
