// What the extended feature register (section 3.4.2, offset 0x30) allows in the structures. Unknown allows all.
#pragma once
#include <cstdint>

#include "swiommu/base/bits.h"
#include "swiommu/hardware/amd.h"

namespace swiommu::amd {

enum class Feature : unsigned {
  guest_translation = 4,  // GTSup
  guest_io = 48,          // GIOSup
  host_accessed = 49,     // HASup
  host_dirty = 52,        // HDSup
};

class Features {
 public:
  explicit Features(Registers const& registers) : registers_(registers) {}

  [[nodiscard]] bool has(Feature feature) const {
    return !registers_.extended_features || (*registers_.extended_features & bit(static_cast<unsigned>(feature))) != 0;
  }
  // HATS; the encoding 3 limits nothing
  [[nodiscard]] unsigned host_levels() const { return limit(11, 10, 4, 6); }
  // GATS
  [[nodiscard]] unsigned guest_levels() const { return limit(13, 12, 4, 6); }
  // GLXSup
  [[nodiscard]] unsigned gcr3_levels() const { return limit(15, 14, 1, 3); }

  // Address bits that are reserved in every structure.
  [[nodiscard]] std::uint64_t beyond_host() const {
    return bit_span(51, 0) & ~low_bits(registers_.host_address_width ? registers_.host_address_width : 52);
  }

 private:
  [[nodiscard]] unsigned limit(unsigned high, unsigned low, unsigned least, unsigned most) const {
    if (!registers_.extended_features) return most;
    unsigned const levels = least + static_cast<unsigned>(bit_field(*registers_.extended_features, high, low));
    return levels > most ? most : levels;
  }

  Registers const& registers_;
};

}  // namespace swiommu::amd
