// The object of IOAS_ALLOC: an I/O address space.
#pragma once
#include <memory>
#include <vector>

#include "iommufd/object.h"
#include "swiommu/domain/io_address_space.h"

namespace swiommu::iommufd {

class HwptPaging;

class Ioas final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::ioas;

  explicit Ioas(std::shared_ptr<IoAddressSpace> space) : Object(object_type), space_(std::move(space)) {}
  // Unmaps everything.
  ~Ioas() override;

  [[nodiscard]] IoAddressSpace& space() const { return *space_; }
  [[nodiscard]] std::shared_ptr<IoAddressSpace> const& shared_space() const { return space_; }

  // The HWPTs over it, in the order of their creation. Each one puts itself in and takes itself out.
  [[nodiscard]] std::vector<HwptPaging*>& hwpts() { return hwpts_; }
  [[nodiscard]] std::vector<HwptPaging*> const& hwpts() const { return hwpts_; }

 private:
  std::shared_ptr<IoAddressSpace> const space_;
  std::vector<HwptPaging*> hwpts_;
};

}  // namespace swiommu::iommufd
