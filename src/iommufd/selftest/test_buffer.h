// The buffer of a device that does not exist, behind a descriptor: dmabuf_get and dmabuf_revoke.
#pragma once
#include <vector>

#include "iommufd/device_buffer.h"
#include "swiommu/base/mutex.h"
#include "swiommu/memory/backing.h"

namespace swiommu::iommufd::selftest {

// Threads: any.
class TestBuffer final : public DeviceBuffer, public std::enable_shared_from_this<TestBuffer> {
 public:
  // `length` > 0 bytes of zeros in a row. ENOMEM.
  static Result<std::shared_ptr<TestBuffer>> create(std::shared_ptr<Engine> engine, std::uint64_t length);

  std::uint64_t size() const override { return memory_->length(); }
  Result<std::shared_ptr<Pages>> pages(Engine& engine, std::uint64_t start, std::uint64_t length, bool writable,
                                       std::int32_t process) override;

  // What pages() gave so far is taken back, whether it is revoked from now on or not.
  void revoke(bool revoked);

 private:
  class Part;  // of the memory
  TestBuffer(std::shared_ptr<Engine> engine, std::unique_ptr<SharedMemory> memory)
      : engine_(std::move(engine)), memory_(std::move(memory)) {}

  std::shared_ptr<Engine> const engine_;  // has the addresses of the memory
  std::unique_ptr<SharedMemory> const memory_;
  Mutex mutex_;
  bool revoked_ SWIOMMU_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<Pages>> given_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd::selftest
