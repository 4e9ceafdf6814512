// Our own process as a caller of /dev/iommu: what a kernel would know about whoever makes an ioctl.
#pragma once
#include <swiommu/iommufd/caller.h>
#include <swiommu/iommufd/engine.h>

class OwnProcess final : public swiommu::iommufd::Caller {
 public:
  explicit OwnProcess(swiommu::iommufd::Engine& engine);

  bool copy_in(std::uint64_t from, std::span<std::byte> to) override;
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override;
  swiommu::Result<std::unique_ptr<swiommu::Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override;
  std::shared_ptr<swiommu::iommufd::Process> process() override { return process_; }
  bool has(swiommu::iommufd::Capability) override { return true; }

  // Calls that need descriptors: there are none here.
  swiommu::Result<int> install(std::shared_ptr<swiommu::iommufd::OpenFile>) override { return no_descriptors(); }
  void uninstall(int) noexcept override {}
  std::shared_ptr<swiommu::iommufd::OpenFile> open_file(int) override { return nullptr; }
  swiommu::Result<swiommu::Descriptor> borrow(int) override { return no_descriptors(); }
  swiommu::Result<std::unique_ptr<swiommu::Backing>> file_memory(int, std::uint64_t, std::uint64_t, bool) override {
    return no_descriptors();
  }

 private:
  static std::unexpected<swiommu::Error> no_descriptors();

  swiommu::iommufd::Engine& engine_;
  std::shared_ptr<swiommu::iommufd::Process> const process_;
};
