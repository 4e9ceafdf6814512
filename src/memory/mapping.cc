#include "swiommu/memory/mapping.h"

#include <sys/mman.h>

#include <fmt/core.h>

namespace swiommu {

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, length_);
}

Result<Mapping> Mapping::zeros(std::uint64_t length) {
  void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return fail(errno, fmt::format("cannot reserve {:#x} bytes of address space", length));
  return Mapping(static_cast<std::byte*>(data), length);
}

Result<Mapping> Mapping::private_file(int descriptor, std::uint64_t length) {
  void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0);
  if (data == MAP_FAILED) return fail(errno, fmt::format("cannot map {:#x} bytes of the file", length));
  return Mapping(static_cast<std::byte*>(data), length);
}

Result<> Mapping::resize(std::uint64_t length) {
  void* const data = ::mremap(data_, length_, length, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) return fail(errno, fmt::format("cannot reserve {:#x} bytes of address space", length));
  data_ = static_cast<std::byte*>(data);
  length_ = length;
  return {};
}

}  // namespace swiommu
