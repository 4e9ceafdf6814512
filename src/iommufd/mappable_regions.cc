#include "iommufd/mappable_regions.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include "iommufd/file.h"
#include "iommufd/viommu.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::iommufd {
namespace {

// Keeps the owner in use.
class MappedRegion final : public MappableMemory {
 public:
  MappedRegion(std::shared_ptr<File> file, std::shared_ptr<Viommu> owner, int descriptor, std::uint64_t offset)
      : file_(std::move(file)), owner_(file_->graveyard(), std::move(owner)), descriptor_(descriptor), offset_(offset) {}
  [[nodiscard]] int descriptor() const override { return descriptor_; }
  [[nodiscard]] std::uint64_t offset() const override { return offset_; }

 private:
  std::shared_ptr<File> const file_;
  Graveyard::Tenant<Viommu> owner_;
  int const descriptor_;
  std::uint64_t const offset_;
};

}  // namespace

Result<std::uint64_t> MappableRegions::add(Viommu& owner, int descriptor, std::uint64_t offset, std::uint64_t length) {
  return guarded([&]() -> Result<std::uint64_t> {
    std::uint64_t place = host_page_size;
    for (auto const& [start, region] : regions_) {
      if (start - place >= length) break;
      place = start + region.length;
    }
    regions_.emplace(place, Region{length, &owner, descriptor, offset});
    return place;
  });
}

void MappableRegions::remove(Viommu const& owner) noexcept {
  std::erase_if(regions_, [&](auto const& entry) { return entry.second.owner == &owner; });
}

Result<std::shared_ptr<MappableMemory>> MappableRegions::map(std::shared_ptr<File> file, std::uint64_t offset,
                                                             std::uint64_t length, int protection, int flags) const {
  return guarded([&]() -> Result<std::shared_ptr<MappableMemory>> {
    if (length == 0 || length % host_page_size != 0)
      return fail(EINVAL, fmt::format("the length {:#x} is no multiple of a page", length));
    if ((flags & MAP_TYPE) != MAP_SHARED && (flags & MAP_TYPE) != MAP_SHARED_VALIDATE)
      return fail(EINVAL, "only shared mappings");
    if ((protection & PROT_EXEC) != 0) return fail(EPERM, "memory of an IOMMU cannot be executed");
    auto const at = regions_.find(offset);
    if (at == regions_.end()) return fail(ENXIO, fmt::format("nothing can be mapped at offset {:#x}", offset));
    Region const& region = at->second;
    if (region.length != length)
      return fail(ENXIO, fmt::format("{:#x} bytes can be mapped at offset {:#x}, not {:#x}", region.length, offset, length));
    return std::make_shared<MappedRegion>(std::move(file), region.owner->shared_from_this(), region.descriptor, region.offset);
  });
}

}  // namespace swiommu::iommufd
