// The files under /dev that iommufd and VFIO have.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace swiommu::vfio {

struct DevicePath {
  enum class Kind : std::uint8_t {
    iommu,      // /dev/iommu
    container,  // /dev/vfio/vfio
    device,     // /dev/vfio/devices/vfioN
    group,      // /dev/vfio/N
  };
  Kind kind = Kind::iommu;
  unsigned number = 0;  // N

  // Nothing: it is none of these. Does not allocate.
  [[nodiscard]] static std::optional<DevicePath> parse(std::string_view path) noexcept;
};

}  // namespace swiommu::vfio
