// The paths that lead to us.
#pragma once
#include <cstdint>
#include <optional>

namespace swiommu::run {

enum class OurPath : std::uint8_t { none, iommu, container };

// /dev/iommu; /dev/vfio/vfio, where the system has none. An address that is no text is none.
[[nodiscard]] OurPath our_path(char const* path);

// open(2) of one of our paths, or of a file that we edit (run/status_file.h): a descriptor, or -errno. Nothing: neither.
[[nodiscard]] std::optional<long> open_ours(char const* path, int flags);

}  // namespace swiommu::run
