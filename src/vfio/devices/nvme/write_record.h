// A file that gets every change of a controller's namespaces, and every flush, in the order in which they were done.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/mutex.h"
#include "swiommu/base/result.h"
#include "vfio/devices/nvme/backing_file.h"
#include "vfio/devices/nvme/record_entry.h"
#include "vfio/devices/nvme/status.h"

namespace swiommu::vfio::nvme {

// Threads: any. Once something could not be recorded, or was not done though it was recorded, every change and flush fails:
// what is recorded after that would be wrong, and a flush would promise what the record cannot tell.
class WriteRecord {
 public:
  // Makes the file, unless there is one that has no entries yet. EEXIST: there is one that has some; EBUSY: somebody else writes
  // to it; EINVAL: it is none; the errno of what the system refused.
  static Result<std::shared_ptr<WriteRecord>> create(std::string const& path, std::span<RecordedNamespace const> namespaces);

  // Appends an entry, then makes the change: nothing else is recorded or changed meanwhile. `end` becomes the number of entries
  // there are then.
  Status append(RecordEntry entry, std::span<std::byte const> data, FunctionRef<Status()> change, std::uint64_t& end);
  Status append(RecordEntry const& entry);
  // Everything that was recorded so far has been done, too.
  [[nodiscard]] std::uint64_t entries() const;

 private:
  WriteRecord(BackingFile file, std::uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}

  BackingFile const file_;
  mutable Mutex mutex_;
  std::uint64_t bytes_ SWIOMMU_GUARDED_BY(mutex_);
  std::uint64_t entries_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool broken_ SWIOMMU_GUARDED_BY(mutex_) = false;
};

}  // namespace swiommu::vfio::nvme
