// A file that somebody wants pinned, whatever it turns out to be.
#pragma once
#include "swiommu/base/descriptor.h"
#include "swiommu/memory/backing.h"

namespace swiommu {

// Bytes of a memfd (or another file in memory, hugetlbfs included), which may begin anywhere. Nothing is looked at when the
// object is made; what cannot be pinned shows when it is: EINVAL, if the file is of another kind, or too short by then.
class FileMemory final : public Backing {
 public:
  // `length` > 0. The descriptor stays the caller's. EBADF; EOVERFLOW: beyond the largest offset; ENOSPC; ENOMEM.
  static Result<std::unique_ptr<FileMemory>> create(HostAddressSpace& space, int descriptor, std::uint64_t offset,
                                                    std::uint64_t length, bool writable);
  ~FileMemory() override;

  Result<> fault_in(std::uint64_t first_page, std::uint64_t last_page) const override;
  [[nodiscard]] unsigned page_size_lg2() const override { return page_size_lg2_; }

 private:
  struct Place {
    HostAddress address;  // of the mapping, which begins at a page of the file
    std::uint64_t length;
  };
  FileMemory(HostAddressSpace& space, Place mapped, std::uint64_t lead, std::uint64_t length, bool writable)
      : Backing(space, mapped.address + lead, length, writable), mapped_(mapped) {}

  Result<> fill_holes(std::uint64_t first_page, std::uint64_t last_page) const;

  Place const mapped_;
  Descriptor descriptor_;
  std::uint64_t offset_ = 0;
  unsigned page_size_lg2_ = host_page_lg2;
  bool pinnable_ = false;     // a file of that kind
  bool tells_holes_ = false;  // SEEK_HOLE works
};

}  // namespace swiommu
