// Memory of another process, through a file that it shared.
#pragma once
#include <memory>

#include "run/peer.h"
#include "run/twin_memory.h"
#include "swiommu/memory/backing.h"

namespace swiommu::run {

// Once pinned it stays usable when the process dies. A process that is gone has no memory any more that could be pinned: EFAULT,
// as Linux has it.
class RemoteMemory final : public Backing {
 public:
  struct Place {
    std::uint64_t offset;       // of the first byte in the file
    std::uint64_t length;       // > 0
    std::uint64_t page_offset;  // of the first byte in its page, in the process
    MappedFile file;            // where the process could give no descriptor of it
  };
  // `file` -1: it had no descriptor to share. If the memory is not mapped here either, pinning will give EFAULT. The descriptor
  // stays the caller's.
  // EOVERFLOW; ENOSPC; ENOMEM.
  static Result<std::unique_ptr<Backing>> create(HostAddressSpace& space, std::shared_ptr<Peer const> process, int file,
                                                 Place place, bool writable);

  Result<> fault_in(std::uint64_t first_page, std::uint64_t last_page) const override;
  [[nodiscard]] unsigned page_size_lg2() const override { return file_->page_size_lg2(); }

 private:
  RemoteMemory(HostAddressSpace& space, std::unique_ptr<Backing> file, std::shared_ptr<Peer const> process, bool shared)
      : Backing(space, file->host_address(0), file->length(), file->writable()),
        file_(std::move(file)),
        process_(std::move(process)),
        shared_(shared) {}

  std::unique_ptr<Backing> const file_;
  std::shared_ptr<Peer const> const process_;
  bool const shared_;
};

}  // namespace swiommu::run
