// /dev/iommu, opened: objects, and the ioctls on them.
#pragma once
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "iommufd/graveyard.h"
#include "iommufd/mappable_regions.h"
#include "iommufd/object_table.h"
#include "swiommu/base/mutex.h"
#include "swiommu/domain/io_address_space.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/engine.h"

namespace swiommu::iommufd {

class Ioas;

// Lock order: the file's mutex, then everything of domain/ and device/, then the mutexes of queues. Every ioctl runs with the
// file's mutex held. What devices do (DMA, page requests, events) never takes it.
class File final : public OpenFile, public std::enable_shared_from_this<File> {
 public:
  enum class Charge : bool { user, process };  // whose limit pinned pages count against (IOMMU_OPTION_RLIMIT_MODE)

  // A container, /dev/vfio/vfio, counts against the process to begin with.
  File(std::shared_ptr<Engine> engine, Charge charge)
      : engine_(std::move(engine)), container_(charge == Charge::process), charge_(charge) {}
  ~File() override;

  char const* name() const override { return "/dev/iommu"; }
  Result<std::uint64_t> ioctl(Caller& caller, std::uint32_t request, std::uint64_t argument) override;
  Result<std::shared_ptr<MappableMemory>> map(std::uint64_t offset, std::uint64_t length, int protection, int flags) override;

  [[nodiscard]] Engine& engine() const { return *engine_; }
  // Was it opened as /dev/vfio/vfio?
  [[nodiscard]] bool is_container() const { return container_; }
  [[nodiscard]] Mutex& mutex() const SWIOMMU_RETURNS_MUTEX(mutex_) { return mutex_; }

  // How an IOAS of this file is made.
  [[nodiscard]] IoAddressSpace::Options space_options() const;

  // All below: mutex held.

  // The mutex is held in a call of ioctl(): until it has been released nothing of `thing` dies. For what takes the mutex when it
  // dies. May throw std::bad_alloc.
  void keep_until_unlocked(std::shared_ptr<void> thing) { kept_.push_back(std::move(thing)); }
  // As Caller::open_file(), kept in this way: closing a device's file, or an access, takes the mutex.
  [[nodiscard]] std::shared_ptr<OpenFile> open_file(Caller& caller, int descriptor) {
    auto file = caller.open_file(descriptor);
    if (file) keep_until_unlocked(file);
    return file;
  }
  [[nodiscard]] std::vector<std::shared_ptr<void>> take_kept() { return std::exchange(kept_, {}); }

  [[nodiscard]] ObjectTable& objects() { return objects_; }
  // Its clear() is called whenever the mutex has been taken for a program's call, or to close something of the file.
  [[nodiscard]] Graveyard& graveyard() { return graveyard_; }
  [[nodiscard]] MappableRegions& mappable() { return mappable_; }
  [[nodiscard]] Charge charge() const { return charge_; }
  void set_charge(Charge charge) { charge_ = charge; }
  // The address space of the type 1 interface (VFIO_IOAS): not a user of it.
  [[nodiscard]] std::shared_ptr<Ioas> compatibility_ioas() const { return compatibility_ioas_.lock(); }
  void set_compatibility_ioas(std::weak_ptr<Ioas> ioas) { compatibility_ioas_ = std::move(ioas); }

 private:
  std::shared_ptr<Engine> const engine_;
  bool const container_;
  mutable Mutex mutex_;
  Graveyard graveyard_;
  MappableRegions mappable_;
  ObjectTable objects_;
  Charge charge_;
  std::weak_ptr<Ioas> compatibility_ioas_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace swiommu::iommufd
