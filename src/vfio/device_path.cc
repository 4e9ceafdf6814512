#include "swiommu/vfio/device_path.h"

#include <charconv>

namespace swiommu::vfio {
namespace {

// As Linux writes numbers.
std::optional<unsigned> parsed(std::string_view text) {
  unsigned number = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  return number;
}

}  // namespace

std::optional<DevicePath> DevicePath::parse(std::string_view path) noexcept {
  constexpr std::string_view devices = "/dev/vfio/devices/vfio", groups = "/dev/vfio/";
  if (path == "/dev/iommu") return DevicePath{Kind::iommu};
  if (path == "/dev/vfio/vfio") return DevicePath{Kind::container};
  bool const device = path.starts_with(devices);
  if (!device && !path.starts_with(groups)) return std::nullopt;
  path.remove_prefix(device ? devices.size() : groups.size());
  auto const found = parsed(path);
  if (!found) return std::nullopt;
  return DevicePath{device ? Kind::device : Kind::group, *found};
}

}  // namespace swiommu::vfio
