// A namespace: blocks in a file. NVM Express 1.4, 6.1.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "swiommu/vfio/nvme.h"
#include "vfio/devices/nvme/status.h"

namespace swiommu::vfio::nvme {

// Threads: any. Blocks are numbers and counts that contains() has allowed.
class Namespace {
 public:
  // EINVAL; the errno of open(2).
  static Result<std::unique_ptr<Namespace>> open(NvmeNamespaceOptions const& options);

  [[nodiscard]] unsigned block_lg2() const { return block_lg2_; }
  [[nodiscard]] std::uint64_t blocks() const { return blocks_; }
  [[nodiscard]] bool read_only() const { return read_only_; }
  [[nodiscard]] bool contains(std::uint64_t start, std::uint64_t count) const {
    return start <= blocks_ && count <= blocks_ - start;
  }

  Status read(std::uint64_t start, std::span<std::byte> to) const;
  Status write(std::uint64_t start, std::span<std::byte const> from) const;
  // All that has been written is kept when this returns. Once that was not so, it fails ever after.
  Status flush() const;
  Status write_zeroes(std::uint64_t start, std::uint64_t count) const;
  // A wish: what cannot be deallocated stays as it is.
  void deallocate(std::uint64_t start, std::uint64_t count) const;

 private:
  Namespace(Descriptor file, unsigned block_lg2, std::uint64_t blocks, bool read_only)
      : file_(std::move(file)), block_lg2_(block_lg2), blocks_(blocks), read_only_(read_only) {}
  [[nodiscard]] bool punch(std::uint64_t start, std::uint64_t count) const;

  Descriptor const file_;
  unsigned const block_lg2_;
  std::uint64_t const blocks_;
  bool const read_only_;
  mutable std::atomic<bool> lost_ = false;  // something that was written
};

}  // namespace swiommu::vfio::nvme
