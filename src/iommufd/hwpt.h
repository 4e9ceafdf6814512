// HWPTs: page tables of the hardware, as objects. A paging HWPT is a paging domain of an IOAS; a nested one stands on a paging
// one, its parent, and reads the user's own tables.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "iommufd/driver.h"
#include "iommufd/object.h"
#include "swiommu/base/result.h"
#include "swiommu/domain/nested_domain.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::iommufd {

class DeviceObject;
class FaultQueue;
class File;
class HwptPaging;
class Ioas;
class Viommu;

// All functions of HWPTs: mutex of the file held.
class Hwpt : public Object {
 public:
  ~Hwpt() override;

  // Made for devices behind this kind of IOMMU (Driver::kind()).
  [[nodiscard]] Driver const& driver() const { return *driver_; }
  // May a device attached to it have PASIDs attached as well, and may PASIDs be attached to it (IOMMU_HWPT_ALLOC_PASID)?
  [[nodiscard]] bool pasid_compatible() const { return pasid_compatible_; }
  // Where page requests of what is attached go; nullptr if nowhere.
  [[nodiscard]] std::shared_ptr<FaultQueue> const& fault_queue() const { return fault_queue_.get(); }
  void set_fault_queue(std::shared_ptr<FaultQueue> queue);
  // This one, or the parent of a nested one.
  [[nodiscard]] virtual HwptPaging& paging() = 0;
  // The address space that a device's reserved iovas are reserved in when it is attached; nullptr: none.
  [[nodiscard]] Ioas* reserves_in();

 protected:
  Hwpt(ObjectType type, std::shared_ptr<Driver> driver, bool pasid_compatible);

 private:
  std::shared_ptr<Driver> const driver_;
  bool const pasid_compatible_;
  Use<FaultQueue> fault_queue_;
};

class HwptPaging final : public Hwpt {
 public:
  static constexpr ObjectType object_type = ObjectType::hwpt_paging;

  // A domain for devices like this one, empty; not in the table of objects yet. `data`: nothing for none. EOPNOTSUPP: flags or
  // data that the hardware does not have; the driver's errors. ENOMEM.
  static Result<std::shared_ptr<HwptPaging>> create(std::shared_ptr<Ioas> const& ioas, PhysicalDevice const& device,
                                                    std::uint32_t flags, std::optional<UserData> const& data, Caller* caller);
  ~HwptPaging() override;
  // Maps all that is mapped in the IOAS, and from then on what comes. Once. The errors of IoAddressSpace::attach_domain().
  Result<void> fill();

  [[nodiscard]] std::shared_ptr<Ioas> const& ioas() const { return ioas_.get(); }
  [[nodiscard]] std::shared_ptr<PagingDomain> const& domain() const { return domain_; }
  [[nodiscard]] bool nest_parent() const { return nest_parent_; }
  // Made for an attach to an IOAS; goes when the last device does.
  [[nodiscard]] bool automatic() const { return automatic_; }
  void set_automatic() { automatic_ = true; }
  [[nodiscard]] bool enforces_coherency() const { return enforces_coherency_; }
  // Made with IOMMU_HWPT_ALLOC_DIRTY_TRACKING.
  [[nodiscard]] bool can_track_dirty() const { return can_track_dirty_; }
  [[nodiscard]] bool tracks_dirty() const { return tracks_dirty_; }
  void set_tracks_dirty(bool on) { tracks_dirty_ = on; }
  HwptPaging& paging() override { return *this; }

 private:
  HwptPaging(std::shared_ptr<Ioas> ioas, std::shared_ptr<Driver> driver, std::shared_ptr<PagingDomain> domain,
             PagingPlan const& plan, std::uint32_t flags);

  Use<Ioas> const ioas_;
  std::shared_ptr<PagingDomain> const domain_;
  bool const nest_parent_;
  bool const enforces_coherency_;
  bool const can_track_dirty_;
  bool automatic_ = false;
  bool tracks_dirty_ = false;
  bool filled_ = false;  // attached to the address space
};

class HwptNested final : public Hwpt {
 public:
  static constexpr ObjectType object_type = ObjectType::hwpt_nested;

  HwptNested(std::shared_ptr<HwptPaging> parent, std::unique_ptr<DriverNested> nested, std::shared_ptr<Driver> driver,
             bool pasid_compatible);
  HwptNested(std::shared_ptr<Viommu> viommu, std::unique_ptr<DriverNested> nested, bool pasid_compatible);
  ~HwptNested() override;

  [[nodiscard]] DriverNested& nested() const { return *nested_; }
  // nullptr if it was made on a paging HWPT.
  [[nodiscard]] std::shared_ptr<Viommu> const& viommu() const { return viommu_.get(); }
  HwptPaging& paging() override;

 private:
  Use<HwptPaging> const parent_;
  Use<Viommu> const viommu_;  // this or parent_
  std::unique_ptr<DriverNested> const nested_;
};

}  // namespace swiommu::iommufd
