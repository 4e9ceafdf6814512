// DC and PC, device context and process context (IOMMU specification, 3.1.2 to 3.2.4): what they say, and whether they are
// misconfigured.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "hardware/riscv/capabilities.h"
#include "swiommu/page_table/user_page_table.h"

namespace swiommu::riscv {

// iohgatp, iosatp, pdtp and msiptp: MODE in bits 63:60, PPN in bits 43:0.
struct TablePointer {
  std::uint64_t word = 0;

  [[nodiscard]] constexpr unsigned mode() const { return static_cast<unsigned>(bit_field(word, 63, 60)); }
  [[nodiscard]] constexpr bool bare() const { return mode() == 0; }
  [[nodiscard]] constexpr std::uint64_t address() const { return bit_field(word, 43, 0) << 12; }
  [[nodiscard]] constexpr bool reserved_bits() const { return bit_field(word, 59, 44) != 0; }
};

// Why an iosatp or PC.fsc is refused, or empty.
std::string misconfigured_first_stage(TablePointer fsc, Capabilities const& capabilities, bool narrow);

class DeviceContext {
 public:
  // Base format: the last four words are 0.
  DeviceContext(std::array<std::uint64_t, 8> const& words, Capabilities const& capabilities)
      : words_(words), capabilities_(capabilities) {}

  [[nodiscard]] bool valid() const { return tc(0); }
  [[nodiscard]] bool has_process_directory() const { return tc(5); }    // PDTV
  [[nodiscard]] bool default_process() const { return tc(9); }          // DPE
  [[nodiscard]] bool big_endian_first_stage() const { return tc(10); }  // SBE: process directory and first-stage tables
  [[nodiscard]] bool narrow() const { return tc(11); }                  // SXL
  [[nodiscard]] bool redirects_interrupts() const { return TablePointer{words_[4]}.mode() != 0; }
  [[nodiscard]] TablePointer iohgatp() const { return {words_[1]}; }
  [[nodiscard]] TablePointer fsc() const { return {words_[3]}; }

  // Why a valid DC is misconfigured (3.1.4); empty if it is not.
  [[nodiscard]] std::string misconfigured() const;

  // The second-stage table; iohgatp is not Bare.
  [[nodiscard]] UserPageTable second_stage() const;
  // The first-stage table of an iosatp or PC.fsc that is not Bare. `nested`: over a second stage.
  [[nodiscard]] UserPageTable first_stage(TablePointer fsc, bool nested) const;

 private:
  [[nodiscard]] bool tc(unsigned position) const { return bit_field(words_[0], position, position) != 0; }
  [[nodiscard]] bool reserved_bits() const;
  [[nodiscard]] std::string misconfigured_control() const;
  [[nodiscard]] std::string misconfigured_second_stage() const;

  std::array<std::uint64_t, 8> words_;
  Capabilities capabilities_;
};

class ProcessContext {
 public:
  explicit ProcessContext(std::array<std::uint64_t, 2> const& words) : words_(words) {}

  [[nodiscard]] bool valid() const { return (words_[0] & 1) != 0; }
  [[nodiscard]] TablePointer fsc() const { return {words_[1]}; }
  // Why a valid PC is misconfigured (3.2.4); empty if it is not. `narrow`: DC.tc.SXL
  [[nodiscard]] std::string misconfigured(Capabilities const& capabilities, bool narrow) const;

 private:
  std::array<std::uint64_t, 2> words_;
};

}  // namespace swiommu::riscv
