// The whole of /dev/iommu for one process that owns it: what all files that are opened share.
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/result.h"
#include "swiommu/domain/host.h"
#include "swiommu/domain/relocations.h"
#include "swiommu/iommufd/open_file.h"
#include "swiommu/iommufd/process.h"
#include "swiommu/memory/host_address_space.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd::selftest {
class MockDriver;
}  // namespace swiommu::iommufd::selftest

namespace swiommu::iommufd {

// Threads: everything from any thread. Files keep the engine alive.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // ENOMEM; ENOSYS.
  static Result<std::shared_ptr<Engine>> create(Profile profile);
  ~Engine();
  Engine(Engine const&) = delete;
  Engine& operator=(Engine const&) = delete;

  // open("/dev/iommu"). ENOMEM.
  Result<std::shared_ptr<OpenFile>> open();
  // open("/dev/vfio/vfio"): the same, for programs of the type 1 interface. ENOMEM.
  Result<std::shared_ptr<OpenFile>> open_container();

  [[nodiscard]] Profile const& profile() const { return profile_; }
  [[nodiscard]] Host const& host() const { return host_; }
  [[nodiscard]] HostAddressSpace& addresses() const { return *addresses_; }
  // To be told what the program does to its memory, where nobody promises to keep it.
  [[nodiscard]] Relocations& relocations() { return relocations_; }
  [[nodiscard]] Processes& processes() { return processes_; }
  // The IOMMU of the kernel's selftests, if the profile is theirs; else nullptr.
  [[nodiscard]] std::shared_ptr<selftest::MockDriver> const& mock_driver() const { return mock_driver_; }

 private:
  Engine(Profile profile, std::shared_ptr<HostAddressSpace> addresses, Host host);

  Profile const profile_;
  std::shared_ptr<HostAddressSpace> const addresses_;
  Host const host_;
  Relocations relocations_{addresses_};
  Processes processes_;
  std::shared_ptr<selftest::MockDriver> const mock_driver_;
};

}  // namespace swiommu::iommufd
