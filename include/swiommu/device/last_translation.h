// The translation that a port used last. The next access mostly goes on in the same block, and then needs nothing else.
#pragma once
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "swiommu/base/access.h"
#include "swiommu/memory/memory_view.h"

namespace swiommu {

// Used by the port's thread, but for `changes`.
struct LastTranslation {
  // Counts what any thread invalidates or attaches elsewhere; what was found before counts as unknown.
  std::atomic<std::uint64_t> changes = 1;

  std::uint64_t found_at = 0;    // the count of `changes` then
  std::uint64_t key = 0;         // PASID, or no_pasid
  std::uint32_t context = 0;     // what the port keeps translations for this key under
  std::uint32_t directed = 0;    // the PASID that is left to the domain, and 1; 0: none
  std::uint64_t generation = 0;  // of the domain that the context stands for
  std::uint64_t last = 0;        // of the inputs that translate alike, which are a block
  std::uint64_t rest = 0;        // its bytes behind the first
  std::uint64_t offset = 0;      // pointer - input, and what it is good for in the low bits; 0: nothing

  static constexpr std::uint64_t reads = 1, writes = 2, present = 4;
  static constexpr std::uint64_t rights_of(Access access) {
    return present | (access.read ? reads : 0) | (access.write ? writes : 0);
  }

  // Is it about this key, and as things are?
  [[nodiscard]] bool holds(std::uint64_t wanted_key) const {
    return key == wanted_key && found_at == changes.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool serves(std::uint64_t iova, std::uint64_t rights) const {
    return last - iova <= rest && (rights & ~offset) == 0;
  }
  [[nodiscard]] Chunk chunk(std::uint64_t iova) const {
    return {std::bit_cast<std::byte*>(iova + (offset & ~std::uint64_t{4095})), last - iova + 1};
  }
};

}  // namespace swiommu
