#include "swiommu/iommufd/engine.h"

#include "iommufd/file.h"
#include "iommufd/selftest/mock_driver.h"

namespace swiommu::iommufd {
Engine::Engine(Profile profile, std::shared_ptr<HostAddressSpace> addresses, Host host)
    : profile_(std::move(profile)),
      addresses_(std::move(addresses)),
      host_(std::move(host)),
      mock_driver_(profile_.hardware == Hardware::kernel_selftest ? std::make_shared<selftest::MockDriver>(profile_) : nullptr) {}

Engine::~Engine() = default;

Result<std::shared_ptr<Engine>> Engine::create(Profile profile) {
  return guarded([&]() -> Result<std::shared_ptr<Engine>> {
    auto space = HostAddressSpace::create();
    if (!space) return std::unexpected(std::move(space).error());
    std::shared_ptr<HostAddressSpace> addresses = std::move(*space);
    auto host = Host::create(addresses);
    if (!host) return std::unexpected(std::move(host).error());
    return std::shared_ptr<Engine>(new Engine(std::move(profile), std::move(addresses), std::move(*host)));
  });
}

Result<std::shared_ptr<OpenFile>> Engine::open() {
  return guarded(
      [&]() -> Result<std::shared_ptr<OpenFile>> { return std::make_shared<File>(shared_from_this(), File::Charge::user); });
}

Result<std::shared_ptr<OpenFile>> Engine::open_container() {
  return guarded(
      [&]() -> Result<std::shared_ptr<OpenFile>> { return std::make_shared<File>(shared_from_this(), File::Charge::process); });
}

}  // namespace swiommu::iommufd
