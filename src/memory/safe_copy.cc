#include "swiommu/memory/safe_copy.h"

#include "swiommu/memory/doubtful_memory.h"

namespace swiommu {

bool copy_from_doubtful(void const* from, std::span<std::byte> to) noexcept {
  return read_doubtful(to.data(), from, to.size()) == to.size();
}

bool copy_to_doubtful(void* to, std::span<std::byte const> from) noexcept {
  return write_doubtful(to, from.data(), from.size()) == from.size();
}

}  // namespace swiommu
