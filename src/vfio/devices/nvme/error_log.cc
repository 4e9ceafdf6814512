#include "vfio/devices/nvme/error_log.h"

namespace swiommu::vfio::nvme {

void ErrorLog::add(ErrorEntry entry) noexcept {
  Lock const lock(mutex_);
  entry.count = count_.fetch_add(1, std::memory_order_relaxed) + 1;
  entries_[entry.count % entries] = entry;
}

DataPage ErrorLog::page() const {
  DataPage page;
  Lock const lock(mutex_);
  std::uint64_t const count = count_.load(std::memory_order_relaxed);
  for (std::size_t n = 0; n < entries && n < count; n++) {
    ErrorEntry const& entry = entries_[(count - n) % entries];
    std::size_t const at = 64 * n;
    page.put(at, entry.count);
    page.put(at + 8, entry.submission_queue);
    page.put(at + 10, entry.command);
    page.put(at + 12, entry.status_field);
    page.put(at + 14, entry.parameter);
    page.put(at + 16, entry.lba);
    page.put(at + 24, entry.nsid);
  }
  return page;
}

}  // namespace swiommu::vfio::nvme
