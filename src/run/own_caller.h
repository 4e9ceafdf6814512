// This process calls.
#pragma once
#include <memory>

#include "run/read_ahead.h"
#include "swiommu/iommufd/caller.h"

namespace swiommu::run {

class Owner;

class OwnCaller final : public iommufd::Caller {
 public:
  explicit OwnCaller(Owner& owner) : owner_(owner) {}

  bool copy_in(std::uint64_t from, std::span<std::byte> to) override;
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override;
  Result<int> install(std::shared_ptr<iommufd::OpenFile> file) override;
  void uninstall(int descriptor) noexcept override;
  std::shared_ptr<iommufd::OpenFile> open_file(int descriptor) override;
  Result<Descriptor> borrow(int descriptor) override;
  Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override;
  Result<std::unique_ptr<Backing>> file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                               bool writable) override;
  bool is_device_memory(std::uint64_t address, std::uint64_t length) override;
  std::shared_ptr<iommufd::Process> process() override;
  void read_limits() override;
  bool has(iommufd::Capability capability) override;

 private:
  Owner& owner_;
  ReadAhead ahead_;
  std::shared_ptr<void const> kept_;  // perhaps the last reference to a device's file, which closes without the locks of the call
};

}  // namespace swiommu::run
