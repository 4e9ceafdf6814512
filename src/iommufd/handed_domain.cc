#include "swiommu/iommufd/handed_domain.h"

#include "iommufd/file.h"
#include "iommufd/hwpt.h"
#include "iommufd/ioas.h"

namespace swiommu::iommufd {

namespace {

// What lives as long as somebody uses the domain.
class Hold {
 public:
  Hold(std::shared_ptr<File> file, std::shared_ptr<PagingDomain> domain, Use<HwptPaging> hwpt, Use<Ioas> ioas)
      : file_(std::move(file)), domain_(std::move(domain)), hwpt_(std::move(hwpt)), ioas_(std::move(ioas)) {}
  Hold(Hold const&) = delete;
  Hold& operator=(Hold const&) = delete;
  ~Hold() {
    // Outside of the file's mutex: it waits for DMA.
    if (ioas_) std::ignore = ioas_->space().detach_domain(*domain_);
    Lock const lock(file_->mutex());
    hwpt_ = {};
    ioas_ = {};
  }

  [[nodiscard]] PagingDomain* domain() const { return domain_.get(); }

 private:
  std::shared_ptr<File> const file_;
  std::shared_ptr<PagingDomain> const domain_;
  Use<HwptPaging> hwpt_;
  Use<Ioas> ioas_;  // this or the other one
};

}  // namespace

Result<std::shared_ptr<PagingDomain>> hand_out_domain(std::shared_ptr<OpenFile> const& file, std::uint32_t id) {
  return guarded([&]() -> Result<std::shared_ptr<PagingDomain>> {
    SWIOMMU_TRY(refuse_inside_guard());
    auto const ours = std::dynamic_pointer_cast<File>(file);
    if (!ours) return fail(EBADFD, "the file is no /dev/iommu");
    std::shared_ptr<Hold> hold;
    {
      Lock const lock(ours->mutex());
      if (auto hwpt = ours->objects().find<HwptPaging>(id)) {
        auto domain = (*hwpt)->domain();
        hold = std::make_shared<Hold>(ours, std::move(domain), Use<HwptPaging>(*std::move(hwpt)), Use<Ioas>());
        return std::shared_ptr<PagingDomain>(hold, hold->domain());
      }
      auto ioas = ours->objects().find<Ioas>(id);
      if (!ioas) return fail(ENOENT, "the id names neither a paging HWPT nor an IOAS");
      auto domain = PagingDomain::create(ours->engine().host(), {.format = FormatName::amd_v1, .levels = 6});
      if (!domain) return std::unexpected(std::move(domain).error());
      SWIOMMU_TRY((*ioas)->space().attach_domain(*domain));
      try {
        hold = std::make_shared<Hold>(ours, *domain, Use<HwptPaging>(), Use<Ioas>(*ioas));
      } catch (std::bad_alloc const&) {
        std::ignore = (*ioas)->space().detach_domain(**domain);
        throw;
      }
    }
    return std::shared_ptr<PagingDomain>(hold, hold->domain());
  });
}

}  // namespace swiommu::iommufd
