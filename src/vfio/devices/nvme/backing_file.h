// A file that is read and written in whole pieces.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "swiommu/base/descriptor.h"

namespace swiommu::vfio::nvme {

// Threads: any. Offsets and lengths are bytes. False: the system refused, errno says why; part of it may have been done.
class BackingFile {
 public:
  explicit BackingFile(Descriptor file) : file_(std::move(file)) {}

  [[nodiscard]] int descriptor() const { return file_.get(); }
  // False as well, with an errno of 0: the file ends before that.
  [[nodiscard]] bool read(std::uint64_t offset, std::span<std::byte> to) const;
  [[nodiscard]] bool write(std::uint64_t offset, std::span<std::byte const> from) const;
  // What is punched reads as zeros and takes no room; not every file can do it.
  [[nodiscard]] bool punch(std::uint64_t offset, std::uint64_t length) const;
  // Punched if that can be done, else written.
  [[nodiscard]] bool zero(std::uint64_t offset, std::uint64_t length) const;
  // All that has been written is kept.
  [[nodiscard]] bool sync() const;

 private:
  Descriptor file_;
};

}  // namespace swiommu::vfio::nvme
