// The registers of a BAR as memory that programs may map: lives as long as anybody has it mapped.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::vfio {

// Threads: any.
class RegisterMemory {
 public:
  // The system refuses a memfd or a mapping: its errno.
  static Result<std::shared_ptr<RegisterMemory>> create(std::uint64_t bytes);
  ~RegisterMemory();
  RegisterMemory(RegisterMemory const&) = delete;
  RegisterMemory& operator=(RegisterMemory const&) = delete;

  // Word: std::uint32_t, std::uint64_t; `offset` in bytes, a multiple of its size.
  template <class Word>
  [[nodiscard]] std::atomic_ref<Word> word(std::uint64_t offset) const {
    return std::atomic_ref(*reinterpret_cast<Word*>(bytes_ + offset));
  }
  // Zeros from byte `from` on, a multiple of 8.
  void clear(std::uint64_t from = 0);

  // What a program maps; counted as long as it is kept, and accessed not by calls alone. `wake` is called each time that it
  // begins to count; the device that it is of outlives the mapping.
  static Result<std::shared_ptr<iommufd::MappableMemory>> map(std::shared_ptr<RegisterMemory> memory, bool acts,
                                                              std::function<void()> wake);
  [[nodiscard]] bool mapped() const { return mappings_.load(std::memory_order_acquire) != 0; }

 private:
  class Mapping;
  RegisterMemory(Descriptor file, std::byte* bytes, std::uint64_t length)
      : file_(std::move(file)), bytes_(bytes), length_(length) {}

  Descriptor const file_;
  std::byte* const bytes_;
  std::uint64_t const length_;
  std::atomic<unsigned> mappings_ = 0;
};

}  // namespace swiommu::vfio
