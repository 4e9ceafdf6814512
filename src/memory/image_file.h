// The bytes of a memory image file, unpacked if need be.
#pragma once
#include <filesystem>

#include "swiommu/base/result.h"
#include "swiommu/memory/mapping.h"

namespace swiommu {

// Maps the file, or unpacks it if it begins with a zstd frame; writes stay private. The errors of MemoryImage::load.
Result<Mapping> open_image_file(std::filesystem::path const& path, std::uint64_t unpacked_limit);

}  // namespace swiommu
