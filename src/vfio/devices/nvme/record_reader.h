// A write record, to be read.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "swiommu/base/result.h"
#include "vfio/devices/nvme/backing_file.h"
#include "vfio/devices/nvme/record_entry.h"

namespace swiommu::vfio::nvme {

// Threads: one at a time.
class RecordReader {
 public:
  // EINVAL: it is no record, or damaged; the errno of what the system refused. Data is looked at when it is asked for.
  static Result<RecordReader> open(std::string const& path);

  [[nodiscard]] std::string const& path() const { return path_; }
  [[nodiscard]] std::vector<RecordedNamespace> const& namespaces() const { return namespaces_; }
  [[nodiscard]] std::vector<RecordEntry> const& entries() const { return entries_; }
  // Whoever wrote it was killed while it wrote the next entry, which is left out.
  [[nodiscard]] bool cut_off() const { return cut_off_; }
  // What a write wrote; valid until the next call. EINVAL: it is damaged.
  Result<std::span<std::byte const>> data(std::uint64_t number);

 private:
  RecordReader(std::string path, BackingFile file) : path_(std::move(path)), file_(std::move(file)) {}
  Result<> read_start(std::uint64_t size);
  Result<> read_entries(std::uint64_t at, std::uint64_t size);
  [[nodiscard]] bool makes_sense(RecordEntry const& entry) const;
  [[nodiscard]] std::unexpected<Error> damaged(std::uint64_t number) const;

  std::string path_;
  BackingFile file_;
  std::vector<RecordedNamespace> namespaces_;
  std::vector<RecordEntry> entries_;
  std::vector<std::uint64_t> places_;  // of their data
  std::vector<std::byte> data_;        // of this entry, if there is one:
  std::optional<std::uint64_t> number_;
  bool cut_off_ = false;
};

}  // namespace swiommu::vfio::nvme
