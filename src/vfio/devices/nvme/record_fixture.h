// Records of writes, made without a controller.
#pragma once
#include <fcntl.h>
#include <fmt/format.h>

#include <random>

#include "conformance/effort.h"
#include "vfio/devices/nvme/disk_fixture.h"
#include "vfio/devices/nvme/record_reader.h"
#include "vfio/devices/nvme/write_record.h"

namespace swiommu::vfio::nvme {

struct RecordTest : testing::Test {
  static constexpr std::uint64_t blocks = 64;  // of each namespace

  std::shared_ptr<WriteRecord> create() {
    RecordedNamespace const namespaces[] = {{blocks * 512, 512}, {blocks * 4096, 4096}};
    return WriteRecord::create(file.path(), namespaces).value();
  }
  static std::vector<std::byte> filled(std::size_t bytes, unsigned value) {
    std::vector<std::byte> data(bytes);
    for (std::size_t n = 0; n < bytes; n++) data[n] = static_cast<std::byte>(value + n / 512);
    return data;
  }
  // Of the namespace of small blocks.
  static Status write(WriteRecord& record, std::uint64_t start, std::uint64_t count, unsigned value) {
    std::uint64_t end = 0;
    return record.append(
        {.kind = RecordKind::write, .nsid = 1, .offset = start * 512, .length = count * 512}, filled(count * 512, value),
        [] { return status::success; }, end);
  }
  static Status flush(WriteRecord& record, std::uint64_t before, std::uint64_t start = 0, std::uint64_t count = blocks) {
    return record.append({.kind = RecordKind::flush, .nsid = 1, .offset = start * 512, .length = count * 512, .before = before});
  }
  std::string contents() const { return contents_of(file.path()); }
  static std::string contents_of(char const* path) {
    std::string bytes;
    Descriptor const opened(::open(path, O_RDONLY | O_CLOEXEC));
    char buffer[4096];
    for (ssize_t got; (got = ::read(opened.get(), buffer, sizeof buffer)) > 0;)
      bytes.append(buffer, static_cast<std::size_t>(got));
    return bytes;
  }
  void replace(std::string const& bytes) const {
    Descriptor const opened(::open(file.path(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    ASSERT_EQ(::write(opened.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  Disk const file{0};
};

}  // namespace swiommu::vfio::nvme
