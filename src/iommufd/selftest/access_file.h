// An access of the selftests: software that pins memory of an IOAS, or copies from and to it, behind a descriptor of its own.
#pragma once
#include <list>
#include <memory>

#include "iommufd/file.h"
#include "iommufd/ioas_access.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd::selftest {

// Keeps the iommufd open, and is an object of it. Threads: any, but where it says so. Lock order: the mutex of an iommufd, then
// this, then the access.
class AccessFile final : public OpenFile {
 public:
  // Attached to nothing, and no object of the file yet. ENOMEM.
  static Result<std::shared_ptr<AccessFile>> create(bool pins);
  // Unpins everything. Takes the mutex of the iommufd.
  ~AccessFile() override;

  char const* name() const override { return "[iommufd_test_staccess]"; }

  // Once, when all that can fail has gone well; mutex of the file held. `object` is access().
  void publish(std::shared_ptr<File> file, NewObject object);
  [[nodiscard]] std::shared_ptr<IoasAccess> const& access() const { return access_; }
  // The iommufd that it is an object of.
  [[nodiscard]] File const* file() const { return file_.get(); }

  // Pins [iova, iova + length) until remove(), or until something in it is unmapped. `check` is called with what is pinned and
  // the item's number; if it fails, nothing is. The errors of SoftwareAccess::pin().
  Result<void> pin(std::uint64_t iova, std::uint64_t length, bool write,
                   FunctionRef<Result<void>(std::span<PagesSlice const>, std::uint32_t)> check);
  // ENOENT: no such item.
  Result<void> remove(std::uint32_t item);

 private:
  struct Item {
    std::uint32_t number = 0;
    std::uint64_t iova = 0, length = 0;
  };
  AccessFile() = default;
  // Unpins the items that lie in part in the range.
  void unmap(Range iovas) noexcept;

  std::shared_ptr<File> file_;
  std::shared_ptr<IoasAccess> access_;
  Use<IoasAccess> use_;
  Mutex mutex_;
  std::list<Item> items_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint32_t next_ SWIOMMU_GUARDED_BY(mutex_) = 0;
};

}  // namespace swiommu::iommufd::selftest
