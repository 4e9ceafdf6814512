#include "bench/front_end.h"

#include <unistd.h>

#include <cstring>

#include "swiommu/iommufd/make_driver.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::bench {

namespace {

// A program in the same process, which passes no bad pointers: so copying is memcpy, as under `swiommu run` it may not be.
class InProcess final : public iommufd::Caller {
 public:
  explicit InProcess(iommufd::Engine& engine)
      : engine_(engine), process_(needed(engine.processes().find(::getpid(), ::getuid()))) {}

  bool copy_in(std::uint64_t from, std::span<std::byte> to) override {
    std::memcpy(to.data(), std::bit_cast<void*>(from), to.size());
    return true;
  }
  bool copy_out(std::uint64_t to, std::span<std::byte const> from) override {
    std::memcpy(std::bit_cast<void*>(to), from.data(), from.size());
    return true;
  }
  // Nothing that is measured makes files.
  Result<int> install(std::shared_ptr<iommufd::OpenFile>) override { return fail(EMFILE, "no descriptors here"); }
  void uninstall(int) noexcept override {}
  std::shared_ptr<iommufd::OpenFile> open_file(int) override { return nullptr; }
  Result<Descriptor> borrow(int descriptor) override {
    int const copy = ::dup(descriptor);
    if (copy < 0) return fail(EBADF, "no such descriptor");
    return Descriptor(copy);
  }
  Result<std::unique_ptr<Backing>> memory(std::uint64_t address, std::uint64_t length, bool writable) override {
    return UserMemory::create(engine_.addresses(), std::bit_cast<void*>(address), length, writable);
  }
  Result<std::unique_ptr<Backing>> file_memory(int descriptor, std::uint64_t offset, std::uint64_t length,
                                               bool writable) override {
    return FileMemory::create(engine_.addresses(), descriptor, offset, length, writable);
  }
  std::shared_ptr<iommufd::Process> process() override { return process_; }
  bool has(iommufd::Capability capability) override { return capability == iommufd::Capability::ipc_lock; }  // no limit of pins

 private:
  iommufd::Engine& engine_;
  std::shared_ptr<iommufd::Process> const process_;
};

}  // namespace

FrontEnd::FrontEnd(Profile const& profile)
    : engine_(needed(iommufd::Engine::create(Profile{}))),
      file_(needed(engine_->open())),
      caller_(std::make_unique<InProcess>(*engine_)) {
  auto const device = needed(Device::create(engine_->host(), {.requester_id = 0x28}));
  device_ = needed(iommufd::PhysicalDevice::create(device, needed(iommufd::make_driver(profile)), {}));
  bound_ = needed(iommufd::BoundDevice::bind(file_, device_));
  port_ = needed(device->open_port());
  iommu_ioas_alloc alloc{.size = sizeof alloc, .flags = 0, .out_ioas_id = 0};
  call(IOMMU_IOAS_ALLOC, alloc);
  ioas_ = alloc.out_ioas_id;
}

FrontEnd::~FrontEnd() = default;

}  // namespace swiommu::bench
