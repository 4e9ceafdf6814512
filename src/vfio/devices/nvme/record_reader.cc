#include "vfio/devices/nvme/record_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace swiommu::vfio::nvme {

Result<RecordReader> RecordReader::open(std::string const& path) {
  return guarded([&]() -> Result<RecordReader> {
    RecordReader reader(path, BackingFile(Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))));
    struct stat status{};
    if (reader.file_.descriptor() < 0 || ::fstat(reader.file_.descriptor(), &status) != 0)
      return fail(errno, fmt::format("cannot open the record {}", path));
    if (!S_ISREG(status.st_mode)) return fail(EINVAL, fmt::format("the record {} is no regular file", path));
    auto const size = static_cast<std::uint64_t>(status.st_size);
    SWIOMMU_TRY(reader.read_start(size));
    SWIOMMU_TRY(reader.read_entries(sizeof(RecordStart) + reader.namespaces_.size() * sizeof(RecordedNamespace), size));
    return reader;
  });
}

Result<> RecordReader::read_start(std::uint64_t size) {
  RecordStart start;
  RecordStart const expected;
  if (size < sizeof start || !file_.read(0, std::as_writable_bytes(std::span(&start, 1))) ||
      std::memcmp(start.name, expected.name, sizeof start.name) != 0)
    return fail(EINVAL, fmt::format("{} is no record of writes", path_));
  if (start.version != expected.version)
    return fail(EINVAL, fmt::format("the record {} has version {}; known is {}", path_, start.version, expected.version));
  if (start.namespaces > (size - sizeof start) / sizeof(RecordedNamespace))
    return fail(EINVAL, fmt::format("the record {} ends before its first entry", path_));
  namespaces_.resize(start.namespaces);
  auto const table = std::as_writable_bytes(std::span(namespaces_));
  bool sound = file_.read(sizeof start, table) && record_checksum(0, table) == start.checksum;
  for (RecordedNamespace const& each : namespaces_) sound = sound && (each.block_bytes == 512 || each.block_bytes == 4096);
  if (!sound) return fail(EINVAL, fmt::format("the namespaces of the record {} are damaged", path_));
  return {};
}

Result<> RecordReader::read_entries(std::uint64_t at, std::uint64_t size) {
  RecordEntry entry;
  for (; size - at >= sizeof entry; at += sizeof entry + entry.data_bytes()) {
    if (!file_.read(at, std::as_writable_bytes(std::span(&entry, 1))))
      return fail(errno, fmt::format("cannot read the record {}", path_));
    if (entry.checksum != checksum_of(entry, entries_.size()) || !makes_sense(entry)) return damaged(entries_.size());
    if (entry.data_bytes() > size - at - sizeof entry) break;
    entries_.push_back(entry);
    places_.push_back(at + sizeof entry);
  }
  cut_off_ = at != size;
  return {};
}

bool RecordReader::makes_sense(RecordEntry const& entry) const {
  if (entry.nsid == 0 || entry.nsid > namespaces_.size() || entry.before > entries_.size()) return false;
  auto const [bytes, block, reserved] = namespaces_[entry.nsid - 1];
  if (entry.offset > bytes || entry.length > bytes - entry.offset) return false;
  if (entry.offset % block != 0 || entry.length % block != 0) return false;
  switch (entry.kind) {
    case RecordKind::write:
    case RecordKind::zeroes:
    case RecordKind::deallocate:
    case RecordKind::flush: return true;
  }
  return false;
}

std::unexpected<Error> RecordReader::damaged(std::uint64_t number) const {
  return fail(EINVAL, fmt::format("entry {} of the record {} is damaged", number, path_));
}

Result<std::span<std::byte const>> RecordReader::data(std::uint64_t number) {
  if (number_ == number) return data_;
  number_.reset();
  data_.resize(entries_[number].data_bytes());
  if (!file_.read(places_[number], data_))
    return fail(errno == 0 ? EINVAL : errno, fmt::format("cannot read the record {}", path_));
  if (!data_.empty() && record_checksum(number, data_) != entries_[number].data_checksum) return damaged(number);
  number_ = number;
  return data_;
}

}  // namespace swiommu::vfio::nvme
