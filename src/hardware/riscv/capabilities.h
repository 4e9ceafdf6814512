// The registers capabilities and fctl (IOMMU specification, 6.3 and 6.4).
#pragma once
#include <cstdint>

#include "swiommu/base/bits.h"
#include "swiommu/hardware/riscv.h"

namespace swiommu::riscv {

class Capabilities {
 public:
  explicit constexpr Capabilities(Registers const& registers) : capabilities_(registers.capabilities), fctl_(registers.fctl) {}

  // `mode` as in iosatp and iohgatp: 8 Sv39, 9 Sv48, 10 Sv57
  [[nodiscard]] constexpr bool first_stage(unsigned mode) const { return flag(mode + 1); }
  [[nodiscard]] constexpr bool second_stage(unsigned mode) const { return flag(mode + 9); }
  [[nodiscard]] constexpr bool svpbmt() const { return flag(15); }
  [[nodiscard]] constexpr bool extended_context() const { return flag(22); }  // MSI_FLAT
  [[nodiscard]] constexpr bool updates_entries() const { return flag(24); }   // AMO_HWAD
  [[nodiscard]] constexpr bool ats() const { return flag(25); }
  [[nodiscard]] constexpr bool t2gpa() const { return flag(26); }
  [[nodiscard]] constexpr bool both_byte_orders() const { return flag(27); }  // END
  // Largest physical address, in bits; values outside 32..56 are not defined and taken as 56
  [[nodiscard]] constexpr unsigned physical_bits() const {
    auto const bits = static_cast<unsigned>(bit_field(capabilities_, 37, 32));
    return bits >= 32 && bits <= 56 ? bits : 56;
  }
  // `mode` as in pdtp: 1 PD8, 2 PD17, 3 PD20
  [[nodiscard]] constexpr bool process_directory(unsigned mode) const { return flag(mode + 37); }
  [[nodiscard]] constexpr bool quality_of_service() const { return flag(41); }  // QOSID

  [[nodiscard]] constexpr bool big_endian() const { return (fctl_ & 1) != 0; }         // fctl.BE
  [[nodiscard]] constexpr bool narrow_guest() const { return (fctl_ >> 2 & 1) != 0; }  // fctl.GXL

 private:
  [[nodiscard]] constexpr bool flag(unsigned position) const { return bit_field(capabilities_, position, position) != 0; }

  std::uint64_t capabilities_;
  std::uint32_t fctl_;
};

}  // namespace swiommu::riscv
