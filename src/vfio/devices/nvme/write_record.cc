#include "vfio/devices/nvme/write_record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

namespace swiommu::vfio::nvme {
namespace {

// All that stands before the first entry.
std::vector<std::byte> beginning_of(std::span<RecordedNamespace const> namespaces) {
  auto const table = std::as_bytes(namespaces);
  RecordStart start;
  start.namespaces = static_cast<std::uint32_t>(namespaces.size());
  start.checksum = record_checksum(0, table);
  auto const first = std::as_bytes(std::span(&start, 1));
  std::vector<std::byte> bytes(first.begin(), first.end());
  bytes.insert(bytes.end(), table.begin(), table.end());
  return bytes;
}

}  // namespace

Result<std::shared_ptr<WriteRecord>> WriteRecord::create(std::string const& path, std::span<RecordedNamespace const> namespaces) {
  return guarded([&]() -> Result<std::shared_ptr<WriteRecord>> {
    Descriptor const opened(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
    if (opened.get() < 0) return fail(errno, fmt::format("cannot open the record {}", path));
    // A copy, as Namespace::open() makes one.
    BackingFile file(Descriptor(::fcntl(opened.get(), F_DUPFD_CLOEXEC, 0)));
    struct stat status{};
    if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) return fail(errno, path);
    if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("the record {} is no regular file", path));
    if (::flock(file.descriptor(), LOCK_EX | LOCK_NB) != 0)
      return fail(errno == EWOULDBLOCK ? EBUSY : errno, fmt::format("the record {} belongs to another controller", path));
    // Only now it is nobody else's.
    if (::fstat(file.descriptor(), &status) != 0) return fail(errno, path);
    auto const beginning = beginning_of(namespaces);
    if (status.st_size == 0) {
      if (!file.write(0, beginning)) return fail(errno, fmt::format("cannot write the record {}", path));
    } else {
      std::vector<std::byte> found(std::min<std::size_t>(beginning.size(), static_cast<std::size_t>(status.st_size)));
      RecordStart const start;
      bool const is_record = file.read(0, found) && found.size() >= sizeof start && std::memcmp(found.data(), &start, 20) == 0;
      if (!is_record) return fail(EINVAL, fmt::format("{} has something in it that is no record of writes", path));
      if (found != beginning || static_cast<std::size_t>(status.st_size) != beginning.size())
        return fail(EEXIST, fmt::format("the record {} has writes in it already, or is one of other namespaces", path));
    }
    return std::shared_ptr<WriteRecord>(new WriteRecord(std::move(file), beginning.size()));
  });
}

Status WriteRecord::append(RecordEntry entry, std::span<std::byte const> data, FunctionRef<Status()> change, std::uint64_t& end) {
  Lock const lock(mutex_);
  if (broken_) return status::write_lost;
  entry.data_checksum = data.empty() ? 0 : record_checksum(entries_, data);
  entry.checksum = checksum_of(entry, entries_);
  broken_ = true;  // unless all of this succeeds
  if (!file_.write(bytes_, std::as_bytes(std::span(&entry, 1))) || !file_.write(bytes_ + sizeof entry, data))
    return status::write_lost;
  bytes_ += sizeof entry + data.size();
  end = ++entries_;
  Status const changed = change();
  broken_ = !changed.ok();
  return changed;
}

Status WriteRecord::append(RecordEntry const& entry) {
  std::uint64_t end = 0;
  return append(entry, {}, [] { return status::success; }, end);
}

std::uint64_t WriteRecord::entries() const {
  Lock const lock(mutex_);
  return entries_;
}

}  // namespace swiommu::vfio::nvme
