#include "iommufd/compatibility_ioas.h"

#include "iommufd/file.h"
#include "iommufd/ioas.h"

namespace swiommu::iommufd {
namespace {

Result<std::shared_ptr<File>> as_file(std::shared_ptr<OpenFile> const& file) {
  auto ours = std::dynamic_pointer_cast<File>(file);
  if (!ours) return fail(EBADFD, "the file is neither a container nor /dev/iommu");
  return ours;
}

}  // namespace

Result<void> provide_compatibility_ioas(std::shared_ptr<OpenFile> const& file) {
  return guarded([&]() -> Result<void> {
    auto const ours = as_file(file);
    if (!ours) return std::unexpected(ours.error());
    Lock const lock((*ours)->mutex());
    if ((*ours)->compatibility_ioas()) return {};
    auto space = IoAddressSpace::create((*ours)->space_options());
    if (!space) return std::unexpected(std::move(space).error());
    SWIOMMU_TRY((*ours)->engine().relocations().add(*space));
    auto const ioas = std::make_shared<Ioas>(std::move(*space));
    auto object = (*ours)->objects().add(ioas);
    if (!object) return std::unexpected(std::move(object).error());
    object->publish();
    (*ours)->set_compatibility_ioas(ioas);
    return {};
  });
}

Result<std::uint32_t> compatibility_ioas_id(std::shared_ptr<OpenFile> const& file) {
  auto const ours = as_file(file);
  if (!ours) return std::unexpected(ours.error());
  Lock const lock((*ours)->mutex());
  auto const ioas = (*ours)->compatibility_ioas();
  if (!ioas) return fail(ENODEV, "the container has no IOAS: it was destroyed, or cleared (VFIO_IOAS)");
  return ioas->id();
}

}  // namespace swiommu::iommufd
