// The device table entry (section 2.2.2.1), its translation part: 4 words, of which the first 3 say something here.
#pragma once
#include <array>
#include <cstdint>

#include "swiommu/base/bits.h"

namespace swiommu::amd {

struct DeviceTableEntry {
  std::array<std::uint64_t, 4> word{};

  [[nodiscard]] bool valid() const { return (word[0] & bit(0)) != 0; }                  // V
  [[nodiscard]] bool translation_valid() const { return (word[0] & bit(1)) != 0; }      // TV
  [[nodiscard]] unsigned accessed_dirty() const { return field(0, 8, 7); }              // HAD
  [[nodiscard]] unsigned mode() const { return field(0, 11, 9); }                       // Mode: levels of the host table
  [[nodiscard]] std::uint64_t host_root() const { return word[0] & bit_span(51, 12); }  // Host Page Table Root Pointer
  [[nodiscard]] bool guest_io_valid() const { return (word[0] & bit(54)) != 0; }        // GIOV
  [[nodiscard]] bool guest_valid() const { return (word[0] & bit(55)) != 0; }           // GV
  [[nodiscard]] unsigned gcr3_levels() const { return field(0, 57, 56) + 1; }           // GLX, 4 is reserved
  [[nodiscard]] bool read() const { return (word[0] & bit(61)) != 0; }                  // IR
  [[nodiscard]] bool write() const { return (word[0] & bit(62)) != 0; }                 // IW
  [[nodiscard]] unsigned domain() const { return field(1, 15, 0); }                     // DomainID
  [[nodiscard]] unsigned guest_paging_mode() const { return field(2, 55, 54); }         // GuestPagingMode

  // GCR3 Table Root Pointer, which lies in three pieces.
  [[nodiscard]] std::uint64_t gcr3_root() const {
    return bit_field(word[0], 60, 58) << 12 | bit_field(word[1], 31, 16) << 15 | bit_field(word[1], 63, 43) << 31;
  }

  // Bits of the translation part that must be zero.
  [[nodiscard]] std::uint64_t reserved() const { return word[0] & (bit(63) | bit_span(6, 2)); }

 private:
  [[nodiscard]] unsigned field(unsigned n, unsigned high, unsigned low) const {
    return static_cast<unsigned>(bit_field(word[n], high, low));
  }
};

}  // namespace swiommu::amd
