// A place in the reserve of the host address space for pages that were somewhere else in our address space.
#pragma once
#include <memory>

#include "swiommu/memory/host_address_space.h"

namespace swiommu {

// What is in it is unmapped when the object dies. The host address space must outlive it. Used by one thread at a time.
class Place {
 public:
  // For the whole pages of `from`, pointers as numbers. The errors of HostAddressSpace::take_place().
  static Result<std::shared_ptr<Place>> take(HostAddressSpace& space, Range from);
  ~Place();
  Place(Place const&) = delete;
  Place& operator=(Place const&) = delete;

  [[nodiscard]] Range from() const { return from_; }
  // Of what came, or is to come, from this pointer.
  [[nodiscard]] HostAddress address(std::uint64_t pointer) const { return HostAddress(host_.start + (pointer - from_.start)); }

  // Moves the pages here, which must be of one mapping. What stays behind is that mapping, without its private pages: it holds
  // zeros, or what its file does. False: nothing has changed.
  bool move() noexcept;

  // Copies the pages here and leaves them where they are, too. The copy is private. False: nothing has changed.
  bool copy() noexcept;

 private:
  Place(HostAddressSpace& space, Range from, Range host) : space_(space), from_(from), host_(host) {}

  HostAddressSpace& space_;
  Range const from_;
  Range const host_;
  bool lost_ = false;  // the place may not be ours any more
};

}  // namespace swiommu
