#include "vfio/devices/nvme/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "swiommu/base/bits.h"

namespace swiommu::vfio::nvme {

Result<std::unique_ptr<Namespace>> Namespace::open(NvmeNamespaceOptions const& options) {
  return guarded([&]() -> Result<std::unique_ptr<Namespace>> {
    if (options.block_size != 512 && options.block_size != 4096)
      return fail(EINVAL, fmt::format("a block size of {} bytes: namespaces have blocks of 512 or 4096", options.block_size));
    // A FIFO would be waited for.
    int const access = options.read_only ? O_RDONLY : O_RDWR;
    Descriptor const opened(::open(options.path.c_str(), access | O_CLOEXEC | O_NONBLOCK));
    if (opened.get() < 0) return fail(errno, fmt::format("cannot open {}", options.path));
    // A copy: inside of a program that is not ours copies are where it does not see them.
    Descriptor file(::fcntl(opened.get(), F_DUPFD_CLOEXEC, 0));
    if (file.get() < 0) return fail(errno, fmt::format("a descriptor for {}", options.path));
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return fail(errno, fmt::format("cannot look at {}", options.path));
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
      return fail(EINVAL, fmt::format("{} is neither a regular file nor a block device", options.path));
    off_t const size = ::lseek(file.get(), 0, SEEK_END);
    if (size < 0) return fail(errno, fmt::format("cannot tell the size of {}", options.path));
    if (size == 0 || size % options.block_size != 0)
      return fail(EINVAL, fmt::format("the size of {}, {} bytes, is {} {} bytes", options.path, size,
                                      size == 0 ? "less than a block of" : "no multiple of blocks of", options.block_size));
    unsigned const block_lg2 = log2_floor(options.block_size);
    return std::unique_ptr<Namespace>(
        new Namespace(std::move(file), block_lg2, static_cast<std::uint64_t>(size) >> block_lg2, options.read_only));
  });
}

Status Namespace::read(std::uint64_t start, std::span<std::byte> to) const {
  auto at = static_cast<off_t>(start << block_lg2_);
  while (!to.empty()) {
    ssize_t const got = ::pread(file_.get(), to.data(), to.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return status::unrecovered_read_error;  // 0: somebody has shortened the file
    to = to.subspan(static_cast<std::size_t>(got));
    at += got;
  }
  return status::success;
}

Status Namespace::write(std::uint64_t start, std::span<std::byte const> from) const {
  auto at = static_cast<off_t>(start << block_lg2_);
  while (!from.empty()) {
    ssize_t const put = ::pwrite(file_.get(), from.data(), from.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return status::write_fault;
    from = from.subspan(static_cast<std::size_t>(put));
    at += put;
  }
  return status::success;
}

Status Namespace::flush() const {
  if (read_only_) return status::success;
  // The system tells of what it could not keep once only.
  if (!lost_.load() && ::fdatasync(file_.get()) == 0) return status::success;
  lost_.store(true);
  return status::write_lost;
}

// What is punched reads as zeros, of regular files and of block devices.
bool Namespace::punch(std::uint64_t start, std::uint64_t count) const {
  return ::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(start << block_lg2_),
                     static_cast<off_t>(count << block_lg2_)) == 0;
}

Status Namespace::write_zeroes(std::uint64_t start, std::uint64_t count) const {
  if (punch(start, count)) return status::success;
  std::uint64_t const piece = std::min<std::uint64_t>(count, (std::uint64_t{1} << 20) >> block_lg2_);
  std::vector<std::byte> const zeros(piece << block_lg2_);
  for (std::uint64_t done = 0; done < count; done += piece) {
    std::uint64_t const part = std::min(piece, count - done);
    Status const written = write(start + done, std::span(zeros).first(part << block_lg2_));
    if (!written.ok()) return written;
  }
  return status::success;
}

void Namespace::deallocate(std::uint64_t start, std::uint64_t count) const {
  if (count != 0) (void)punch(start, count);
}

}  // namespace swiommu::vfio::nvme
