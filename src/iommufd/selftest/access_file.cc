#include "iommufd/selftest/access_file.h"

#include <algorithm>

namespace swiommu::iommufd::selftest {

Result<std::shared_ptr<AccessFile>> AccessFile::create(bool pins) {
  return guarded([&]() -> Result<std::shared_ptr<AccessFile>> {
    std::shared_ptr<AccessFile> made(new AccessFile);
    auto access = IoasAccess::create(pins ? SoftwareAccess::Use::pins : SoftwareAccess::Use::copies,
                                     [made = made.get()](Range iovas) { made->unmap(iovas); });
    if (!access) return std::unexpected(std::move(access).error());
    made->access_ = std::move(*access);
    return made;
  });
}

AccessFile::~AccessFile() {
  if (!file_) return;
  unmap(Range::all());
  Lock const lock(file_->mutex());
  use_ = {};
  file_->objects().remove(*access_);
  access_.reset();
}

void AccessFile::publish(std::shared_ptr<File> file, NewObject object) {
  use_ = Use<IoasAccess>(access_);
  file_ = std::move(file);
  object.publish();
}

void AccessFile::unmap(Range iovas) noexcept {
  Lock const lock(mutex_);
  std::erase_if(items_, [&](Item const& item) {
    if (!iovas.overlaps({item.iova, item.iova + (item.length - 1)})) return false;
    access_->memory().unpin(item.iova, item.length);
    return true;
  });
}

Result<void> AccessFile::pin(std::uint64_t iova, std::uint64_t length, bool write,
                             FunctionRef<Result<void>(std::span<PagesSlice const>, std::uint32_t)> check) {
  return guarded([&]() -> Result<void> {
    std::list<Item> item;
    item.push_back({0, iova, length});
    // From the pin to the end of the item's entry, so that whoever unmaps meanwhile finds it and waits.
    Lock const lock(mutex_);
    auto const pinned = access_->memory().pin(iova, length, write);
    if (!pinned) return std::unexpected(pinned.error());
    item.front().number = next_;
    if (auto checked = guarded([&] { return check(*pinned, item.front().number); }); !checked) {
      access_->memory().unpin(iova, length);
      return checked;
    }
    next_++;
    items_.splice(items_.end(), item);
    return {};
  });
}

Result<void> AccessFile::remove(std::uint32_t item) {
  Lock const lock(mutex_);
  auto const at = std::ranges::find(items_, item, &Item::number);
  if (at == items_.end()) return fail(ENOENT, "the access has pinned nothing of that number, or it was unmapped");
  access_->memory().unpin(at->iova, at->length);
  items_.erase(at);
  return {};
}

}  // namespace swiommu::iommufd::selftest
