// A descriptor of a chain, as it lies in memory: 64 bytes, aligned to as many.
#pragma once
#include <cstdint>

namespace swiommu::vfio::ioat {

struct Descriptor {
  std::uint32_t size = 0;
  std::uint32_t control = 0;
  std::uint64_t source = 0;
  std::uint64_t destination = 0;
  std::uint64_t next = 0;
  std::uint64_t reserved[2] = {};
  std::uint64_t software[2] = {};

  // Bits of control; the fence (bit 4) asks for the order that all descriptors are run in.
  static constexpr std::uint32_t interrupt = 1 << 0, completion_write = 1 << 3, fence = 1 << 4, null = 1 << 5;

  [[nodiscard]] unsigned operation() const { return control >> 24; }  // 0: copy
};

static_assert(sizeof(Descriptor) == 64);
inline constexpr unsigned descriptor_bytes_lg2 = 6;

}  // namespace swiommu::vfio::ioat
