// The registers of a device that is fuzzed, through a mapping.
#pragma once
#include <sys/mman.h>

#include <atomic>
#include <memory>

#include "fuzz_input.h"
#include "swiommu/vfio/device_model.h"

namespace swiommu::fuzzing {

class MappedRegisters {
 public:
  explicit MappedRegisters(vfio::DeviceModel& model)
      : handle_(model.map_bar(0).value()), bytes_(model.description().bars[0].bytes) {
    void* const at =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, handle_->descriptor(), static_cast<off_t>(handle_->offset()));
    require(at != MAP_FAILED);
    words_ = static_cast<std::byte*>(at);
  }
  ~MappedRegisters() { ::munmap(words_, bytes_); }
  MappedRegisters(MappedRegisters const&) = delete;
  MappedRegisters& operator=(MappedRegisters const&) = delete;
  // `at` is a multiple of the value's size.
  template <class T>
  void store(std::uint64_t at, T value) {
    std::atomic_ref(*reinterpret_cast<T*>(words_ + at)).store(value);
  }

 private:
  std::shared_ptr<iommufd::MappableMemory> const handle_;
  std::uint64_t const bytes_;
  std::byte* words_ = nullptr;
};

}  // namespace swiommu::fuzzing
