#include "iommufd/ioas.h"

#include "iommufd/file.h"
#include "iommufd/ioas_access.h"

namespace swiommu::iommufd {

IoAddressSpace::Options File::space_options() const { return {.within_host_pages = !engine_->profile().leaves_span_pages}; }

// Nobody uses it any more, so no domain and no access is attached.
Ioas::~Ioas() { (void)space_->unmap_all(); }

Result<std::shared_ptr<IoasAccess>> IoasAccess::create(SoftwareAccess::Use use, SoftwareAccess::Unmapping unmapping) {
  return guarded([&]() -> Result<std::shared_ptr<IoasAccess>> {
    auto memory = SoftwareAccess::create(use, std::move(unmapping));
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::shared_ptr<IoasAccess>(new IoasAccess(std::move(*memory)));
  });
}

IoasAccess::~IoasAccess() {
  if (ioas_) (void)memory_->detach();
}

Result<void> IoasAccess::attach(std::shared_ptr<Ioas> ioas) {
  SWIOMMU_TRY(memory_->attach(ioas->shared_space()));
  ioas_ = swiommu::iommufd::Use<Ioas>(std::move(ioas));
  return {};
}

Result<void> IoasAccess::replace(std::shared_ptr<Ioas> ioas) {
  SWIOMMU_TRY(memory_->replace(ioas->shared_space()));
  ioas_ = swiommu::iommufd::Use<Ioas>(std::move(ioas));
  return {};
}

Result<void> IoasAccess::detach() {
  SWIOMMU_TRY(memory_->detach());
  ioas_ = {};
  return {};
}

}  // namespace swiommu::iommufd
