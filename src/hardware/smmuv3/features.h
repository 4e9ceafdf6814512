// What the ID registers say (IHI 0070, 6.3.1 to 6.3.6). An absent register restricts nothing.
#pragma once
#include <algorithm>
#include <cstdint>

#include "swiommu/base/bits.h"
#include "swiommu/hardware/smmuv3.h"

namespace swiommu::smmuv3 {

// Sizes of addresses as IPS, S2PS and IDR5.OAS encode them; reserved values are the largest.
constexpr unsigned address_bits(std::uint64_t code) {
  constexpr unsigned bits[] = {32, 36, 40, 42, 44, 48, 52, 52};
  return bits[code & 7];
}

class Features {
 public:
  explicit constexpr Features(Registers const& registers) : registers_(registers) {}

  [[nodiscard]] constexpr bool stage1() const { return idr0(1, 1, 1) != 0; }
  [[nodiscard]] constexpr bool stage2() const { return idr0(0, 0, 1) != 0; }
  [[nodiscard]] constexpr bool vmsa32() const { return (idr0(3, 2, 3) & 1) != 0; }
  [[nodiscard]] constexpr bool vmsa64() const { return (idr0(3, 2, 3) & 2) != 0; }
  [[nodiscard]] constexpr bool accessed_updates() const { return idr0(7, 6, 2) >= 1; }
  [[nodiscard]] constexpr bool dirty_updates() const { return idr0(7, 6, 2) >= 2; }
  [[nodiscard]] constexpr bool hypervisor() const { return idr0(9, 9, 1) != 0; }
  [[nodiscard]] constexpr bool wide_asid() const { return idr0(12, 12, 1) != 0; }
  [[nodiscard]] constexpr bool wide_vmid() const { return idr0(18, 18, 1) != 0; }
  [[nodiscard]] constexpr bool two_level_cd_table() const { return idr0(19, 19, 1) != 0; }
  [[nodiscard]] constexpr bool big_endian_tables() const { return idr0(22, 21, 0) != 2; }
  [[nodiscard]] constexpr bool little_endian_tables() const { return idr0(22, 21, 0) != 3; }
  [[nodiscard]] constexpr bool never_stalls() const { return idr0(25, 24, 0) == 1; }
  [[nodiscard]] constexpr bool always_stalls() const { return idr0(25, 24, 0) == 2; }
  [[nodiscard]] constexpr bool stall_is_fixed() const { return idr0(25, 24, 0) != 0; }
  [[nodiscard]] constexpr bool always_aborts() const { return idr0(26, 26, 0) != 0; }  // TERM_MODEL
  [[nodiscard]] constexpr bool two_level_stream_table() const { return idr0(28, 27, 1) != 0; }

  [[nodiscard]] constexpr unsigned stream_bits() const {
    return registers_.idr1 ? std::min(32u, static_cast<unsigned>(bit_field(*registers_.idr1, 5, 0))) : 32;
  }
  [[nodiscard]] constexpr unsigned substream_bits() const {
    return registers_.idr1 ? std::min(20u, static_cast<unsigned>(bit_field(*registers_.idr1, 10, 6))) : 20;
  }

  [[nodiscard]] constexpr bool hierarchical_disable() const { return !registers_.idr3 || bit_field(*registers_.idr3, 2, 2) != 0; }
  [[nodiscard]] constexpr bool small_tables() const { return registers_.idr3 && bit_field(*registers_.idr3, 9, 9) != 0; }

  [[nodiscard]] constexpr unsigned output_bits() const { return address_bits(idr5(2, 0, 6)); }
  // Largest input of stage 2 (IAS, IHI 0070, 3.4): at least the 40 bits of VMSAv8-32, where that is implemented.
  [[nodiscard]] constexpr unsigned intermediate_bits() const { return vmsa32() ? std::max(40u, output_bits()) : output_bits(); }
  [[nodiscard]] constexpr bool granule(unsigned granule_lg2) const {
    return idr5(granule_lg2 == 12 ? 4 : granule_lg2 == 14 ? 5 : 6, granule_lg2 == 12 ? 4 : granule_lg2 == 14 ? 5 : 6, 1) != 0;
  }
  [[nodiscard]] constexpr bool wide_addresses() const { return idr5(7, 7, 1) != 0; }    // DS
  [[nodiscard]] constexpr bool wide_inputs() const { return idr5(11, 10, 1) != 0; }     // VAX
  [[nodiscard]] constexpr bool long_descriptors() const { return idr5(3, 3, 0) != 0; }  // D128

  [[nodiscard]] constexpr bool e2h() const { return !registers_.cr2 || bit_field(*registers_.cr2, 0, 0) != 0; }

 private:
  [[nodiscard]] constexpr std::uint64_t idr0(unsigned high, unsigned low, std::uint64_t unknown) const {
    return registers_.idr0 ? bit_field(*registers_.idr0, high, low) : unknown;
  }
  [[nodiscard]] constexpr std::uint64_t idr5(unsigned high, unsigned low, std::uint64_t unknown) const {
    return registers_.idr5 ? bit_field(*registers_.idr5, high, low) : unknown;
  }

  Registers registers_;
};

}  // namespace swiommu::smmuv3
