// The memory behind BAR 0: lives as long as anybody has it mapped.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::vfio::ioat {

// Threads: any.
class RegisterMemory {
 public:
  // The system refuses a memfd or a mapping: its errno.
  static Result<std::shared_ptr<RegisterMemory>> create(std::uint64_t bytes);
  ~RegisterMemory();
  RegisterMemory(RegisterMemory const&) = delete;
  RegisterMemory& operator=(RegisterMemory const&) = delete;

  [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::uint64_t offset) const {
    return std::atomic_ref(words_[offset / sizeof(std::uint64_t)]);
  }
  void clear();

  // What a program maps; counted as long as it is kept.
  static Result<std::shared_ptr<iommufd::MappableMemory>> map(std::shared_ptr<RegisterMemory> memory);
  [[nodiscard]] bool mapped() const { return mappings_.load(std::memory_order_acquire) != 0; }

 private:
  class Mapping;
  RegisterMemory(swiommu::Descriptor file, std::uint64_t* words, std::uint64_t bytes)
      : file_(std::move(file)), words_(words), bytes_(bytes) {}

  swiommu::Descriptor const file_;
  std::uint64_t* const words_;
  std::uint64_t const bytes_;
  std::atomic<unsigned> mappings_ = 0;
};

}  // namespace swiommu::vfio::ioat
