// The object behind software that uses an IOAS: a test's access, the ring of a HW queue. A user of the IOAS while attached.
#pragma once
#include <memory>

#include "iommufd/ioas.h"
#include "swiommu/domain/software_access.h"

namespace swiommu::iommufd {

// Whoever makes one keeps a Use of it, so that DESTROY gives EBUSY. Mutex of the file held, but for memory().
class IoasAccess final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::access;

  // Attached to nothing. ENOMEM. `unmapping` is called with the file's mutex held.
  static Result<std::shared_ptr<IoasAccess>> create(SoftwareAccess::Use use, SoftwareAccess::Unmapping unmapping = {});
  ~IoasAccess() override;

  // As of SoftwareAccess; the IOAS is used from then on.
  Result<void> attach(std::shared_ptr<Ioas> ioas);
  Result<void> replace(std::shared_ptr<Ioas> ioas);
  Result<void> detach();

  // pin, unpin, read, write.
  [[nodiscard]] SoftwareAccess& memory() const { return *memory_; }
  [[nodiscard]] std::shared_ptr<Ioas> const& ioas() const { return ioas_.get(); }

 private:
  explicit IoasAccess(std::shared_ptr<SoftwareAccess> memory) : Object(object_type), memory_(std::move(memory)) {}

  std::shared_ptr<SoftwareAccess> const memory_;
  Use<Ioas> ioas_;
};

}  // namespace swiommu::iommufd
