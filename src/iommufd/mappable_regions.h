// What mmap(2) of an iommufd can map: regions of objects, at offsets that the objects' users were told.
#pragma once
#include <cstdint>
#include <map>
#include <memory>

#include "iommufd/object.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

class File;
class Viommu;

// Mutex of the file held.
class MappableRegions {
 public:
  // A region of whole pages: `length` bytes from `offset` of a file on. Returns where it is: the lowest offset with room, never
  // 0. ENOMEM.
  Result<std::uint64_t> add(Viommu& owner, int descriptor, std::uint64_t offset, std::uint64_t length);
  // All regions of the owner.
  void remove(Viommu const& owner) noexcept;

  // As OpenFile::map().
  Result<std::shared_ptr<MappableMemory>> map(std::shared_ptr<File> file, std::uint64_t offset, std::uint64_t length,
                                              int protection, int flags) const;

 private:
  struct Region {
    std::uint64_t length;
    Viommu* owner;
    int descriptor;
    std::uint64_t offset;
  };
  std::map<std::uint64_t, Region> regions_;
};

}  // namespace swiommu::iommufd
