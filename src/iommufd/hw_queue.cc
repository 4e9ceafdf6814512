#include "iommufd/hw_queue.h"

#include <fmt/format.h>

#include "iommufd/file.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::iommufd {
namespace {

// Do these slices lie in a row in the machine's memory? Pages of the host that are neighbours in the host address space need
// not be neighbours there.
bool contiguous(std::span<PagesSlice const> slices) {
  std::uint64_t const first = slices.front().pages->host_address(slices.front().offset).value;
  std::uint64_t next = first;
  for (PagesSlice const& slice : slices) {
    std::uint64_t const start = slice.pages->host_address(slice.offset).value;
    Range const page = Range::block(first, slice.pages->backing().page_size_lg2());
    if (start != next || !page.contains(start + (slice.length - 1))) return false;
    next = start + slice.length;
  }
  return true;
}

}  // namespace

HwQueue::HwQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t index, Range iovas)
    : Object(object_type), viommu_(std::move(viommu)), kind_(type), index_(index), iovas_(iovas) {}

Result<HostAddress> HwQueue::pin() {
  constexpr std::uint64_t in_page = host_page_size - 1;
  std::uint64_t const offset = iovas_.start & in_page;
  std::uint64_t const length = iovas_.length();
  if (length > ~std::uint64_t{0} - offset - in_page)
    return fail(ERANGE, fmt::format("a queue of {:#x} bytes, rounded up to pages, leaves the 64-bit space", length));
  Range const pages{iovas_.start - offset, iovas_.start - offset + ((offset + length + in_page) & ~in_page) - 1};
  auto access = IoasAccess::create(SoftwareAccess::Use::locks);
  if (!access) return std::unexpected(std::move(access).error());
  // It has an id, which nobody is told.
  auto added = viommu_->file().objects().add(*access);
  if (!added) return std::unexpected(std::move(added).error());
  SWIOMMU_TRY((*access)->attach(viommu_->parent()->ioas()));
  auto const slices = (*access)->memory().pin(pages.start, pages.length(), false);
  if (!slices) return std::unexpected(slices.error());
  bool const usable = contiguous(*slices);
  if (!usable) {
    (*access)->memory().unpin(pages.start, pages.length());
    return fail(EFAULT, fmt::format("the queue's memory at iovas {:#x}-{:#x} is not contiguous in the machine's memory",
                                    iovas_.start, iovas_.last));
  }
  added->publish();
  access_ = Use<IoasAccess>(std::move(*access));
  pinned_ = pages;
  PagesSlice const& first = slices->front();
  return first.pages->host_address(first.offset) + offset;
}

HwQueue::~HwQueue() {
  half_ = nullptr;
  if (!access_) return;
  access_->memory().unpin(pinned_.start, pinned_.length());
  viommu_->file().objects().remove(*access_);
}

}  // namespace swiommu::iommufd
