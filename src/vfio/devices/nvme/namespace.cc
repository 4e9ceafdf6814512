#include "vfio/devices/nvme/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

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
    BackingFile file(Descriptor(::fcntl(opened.get(), F_DUPFD_CLOEXEC, 0)));
    if (file.descriptor() < 0) return fail(errno, fmt::format("a descriptor for {}", options.path));
    struct stat status{};
    if (::fstat(file.descriptor(), &status) != 0) return fail(errno, fmt::format("cannot look at {}", options.path));
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
      return fail(EINVAL, fmt::format("{} is neither a regular file nor a block device", options.path));
    off_t const size = ::lseek(file.descriptor(), 0, SEEK_END);
    if (size < 0) return fail(errno, fmt::format("cannot tell the size of {}", options.path));
    if (size == 0 || size % options.block_size != 0)
      return fail(EINVAL, fmt::format("the size of {}, {} bytes, is {} {} bytes", options.path, size,
                                      size == 0 ? "less than a block of" : "no multiple of blocks of", options.block_size));
    unsigned const block_lg2 = log2_floor(options.block_size);
    return std::unique_ptr<Namespace>(
        new Namespace(std::move(file), block_lg2, static_cast<std::uint64_t>(size) >> block_lg2, options.read_only));
  });
}

// Where the file ends before that somebody has shortened it.
Status Namespace::read(std::uint64_t start, std::span<std::byte> to) const {
  return file_.read(start << block_lg2_, to) ? status::success : status::unrecovered_read_error;
}

Status Namespace::write(std::uint64_t start, std::span<std::byte const> from, bool kept) const {
  return change(entry(RecordKind::write, start, from.size() >> block_lg2_), from, kept,
                [&] { return file_.write(start << block_lg2_, from); });
}

Status Namespace::write_zeroes(std::uint64_t start, std::uint64_t count, bool kept) const {
  return change(entry(RecordKind::zeroes, start, count), {}, kept,
                [&] { return file_.zero(start << block_lg2_, count << block_lg2_); });
}

Status Namespace::deallocate(std::uint64_t start, std::uint64_t count) const {
  if (count == 0) return status::success;
  std::uint64_t const offset = start << block_lg2_, length = count << block_lg2_;
  return change(entry(RecordKind::deallocate, start, count), {}, false, [&] {
    if (record_ != nullptr) return file_.zero(offset, length);
    (void)file_.punch(offset, length);
    return true;
  });
}

Status Namespace::change(RecordEntry const& entry, std::span<std::byte const> data, bool kept, FunctionRef<bool()> make) const {
  auto const made = [&] { return make() ? status::success : status::write_fault; };
  std::uint64_t end = 0;
  Status const changed = record_ == nullptr ? made() : record_->append(entry, data, made, end);
  return changed.ok() && kept ? keep(entry, end) : changed;
}

Status Namespace::flush(std::uint64_t start, std::uint64_t count) const {
  if (read_only_) return status::success;
  return keep(entry(RecordKind::flush, start, count), record_ == nullptr ? 0 : record_->entries());
}

// `before` was asked for before this: what other threads do meanwhile is not promised.
Status Namespace::keep(RecordEntry entry, std::uint64_t before) const {
  // The system tells of what it could not keep once only.
  if (lost_.load() || !file_.sync()) {
    lost_.store(true);
    return status::write_lost;
  }
  if (record_ == nullptr) return status::success;
  entry.kind = RecordKind::flush;
  entry.before = before;
  return record_->append(entry);
}

}  // namespace swiommu::vfio::nvme
