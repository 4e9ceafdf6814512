// The paths that lead to us.
#pragma once
#include <cstdint>
#include <optional>

namespace swiommu::run {

struct OurPath {
  enum class Kind : std::uint8_t { none, iommu, container, device, group };
  Kind kind = Kind::none;
  unsigned number = 0;  // of the device or group

  [[nodiscard]] explicit operator bool() const { return kind != Kind::none; }
};

// /dev/iommu; /dev/vfio/vfio, where the system has none; those of the devices that there are. An address that is no text is none.
[[nodiscard]] OurPath our_path(char const* path);

// open(2) of one of our paths, or of a file that we edit (run/status_file.h): a descriptor, or -errno. Nothing: neither.
[[nodiscard]] std::optional<long> open_ours(char const* path, int flags);

}  // namespace swiommu::run
