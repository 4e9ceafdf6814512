// A namespace: blocks in a file. NVM Express 1.4, 6.1.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "swiommu/base/function_ref.h"
#include "swiommu/base/result.h"
#include "swiommu/vfio/nvme.h"
#include "vfio/devices/nvme/backing_file.h"
#include "vfio/devices/nvme/write_record.h"

namespace swiommu::vfio::nvme {

// Threads: any. Blocks are numbers and counts that contains() has allowed.
class Namespace {
 public:
  // EINVAL; the errno of open(2).
  static Result<std::unique_ptr<Namespace>> open(NvmeNamespaceOptions const& options);

  [[nodiscard]] unsigned block_lg2() const { return block_lg2_; }
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }
  [[nodiscard]] bool read_only() const { return read_only_; }
  [[nodiscard]] RecordedNamespace description() const { return {blocks_ << block_lg2_, std::uint32_t{1} << block_lg2_}; }
  // From now on. Before other threads have it.
  void record_to(std::shared_ptr<WriteRecord> record, std::uint32_t nsid) {
    record_ = std::move(record);
    nsid_ = nsid;
  }
  [[nodiscard]] bool contains(std::uint64_t start, std::uint64_t count) const {
    return start <= blocks_ && count <= blocks_ - start;
  }

  Status read(std::uint64_t start, std::span<std::byte> to) const;
  // `kept`: before this returns, whatever comes of the cache.
  Status write(std::uint64_t start, std::span<std::byte const> from, bool kept) const;
  Status write_zeroes(std::uint64_t start, std::uint64_t count, bool kept) const;
  // A wish: what cannot be deallocated stays as it is; but where there is a record it becomes zeros.
  Status deallocate(std::uint64_t start, std::uint64_t count) const;
  // All that has been written, to these blocks at least, is kept when this returns. Once that was not so, it fails ever after.
  Status flush() const { return flush(0, blocks_); }
  Status flush(std::uint64_t start, std::uint64_t count) const;

 private:
  Namespace(BackingFile file, unsigned block_lg2, std::uint64_t blocks, bool read_only)
      : file_(std::move(file)), block_lg2_(block_lg2), blocks_(blocks), read_only_(read_only) {}
  [[nodiscard]] RecordEntry entry(RecordKind kind, std::uint64_t start, std::uint64_t count) const {
    return {.kind = kind, .nsid = nsid_, .offset = start << block_lg2_, .length = count << block_lg2_};
  }
  Status change(RecordEntry const& entry, std::span<std::byte const> data, bool kept, FunctionRef<bool()> make) const;
  Status keep(RecordEntry entry, std::uint64_t before) const;

  BackingFile const file_;
  unsigned const block_lg2_;
  std::uint64_t const blocks_;
  bool const read_only_;
  std::shared_ptr<WriteRecord> record_;     // null: nobody wants one
  std::uint32_t nsid_ = 0;                  // in the record
  mutable std::atomic<bool> lost_ = false;  // something that was written
};

}  // namespace swiommu::vfio::nvme
