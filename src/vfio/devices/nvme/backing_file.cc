#include "vfio/devices/nvme/backing_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace swiommu::vfio::nvme {

bool BackingFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    ssize_t const got = ::pread(file_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return true;
}

bool BackingFile::write(std::uint64_t offset, std::span<std::byte const> from) const {
  while (!from.empty()) {
    ssize_t const put = ::pwrite(file_.get(), from.data(), from.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    from = from.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return true;
}

// Of regular files and of block devices.
bool BackingFile::punch(std::uint64_t offset, std::uint64_t length) const {
  return ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(length)) == 0;
}

bool BackingFile::zero(std::uint64_t offset, std::uint64_t length) const {
  if (length == 0 || punch(offset, length)) return true;
  std::vector<std::byte> const zeros(std::min<std::uint64_t>(length, std::uint64_t{1} << 20));
  for (std::uint64_t done = 0; done < length; done += zeros.size())
    if (!write(offset + done, std::span(zeros).first(std::min<std::uint64_t>(zeros.size(), length - done)))) return false;
  return true;
}

bool BackingFile::sync() const { return ::fdatasync(file_.get()) == 0; }

}  // namespace swiommu::vfio::nvme
