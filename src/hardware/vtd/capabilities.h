// What CAP_REG and ECAP_REG (sections 11.4.2 and 11.4.3) allow in the structures. A register that is not known allows all.
#pragma once
#include <cstdint>

#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"
#include "swiommu/hardware/vtd.h"

namespace swiommu::vtd {

// Bits of ECAP_REG.
enum class Extended : unsigned {
  device_tlb = 2,
  pass_through = 6,
  snoop_control = 7,
  nested = 26,
  page_request = 29,
  supervisor_request = 31,
  extended_accessed_flag = 34,
  pasid = 40,
  scalable_mode = 43,
  second_stage_accessed_dirty = 45,
  second_stage = 46,
  first_stage = 47,
  rid_pasid = 49,
};

class Capabilities {
 public:
  explicit Capabilities(Registers const& registers) : registers_(registers) {}

  [[nodiscard]] bool has(Extended feature) const {
    return !registers_.extended_capability || (*registers_.extended_capability & bit(static_cast<unsigned>(feature))) != 0;
  }

  // The number of levels that the field AW of an entry stands for; 0 if it stands for none that this unit has (CAP.SAGAW).
  [[nodiscard]] unsigned second_stage_levels(std::uint64_t address_width) const {
    if (address_width < 1 || address_width > 3) return 0;
    if (registers_.capability && (*registers_.capability & bit(8 + static_cast<unsigned>(address_width))) == 0) return 0;
    return static_cast<unsigned>(address_width) + 2;
  }

  // The inputs of second-stage translation (CAP.MGAW); the table may hold more.
  [[nodiscard]] Range second_stage_inputs() const {
    if (!registers_.capability) return Range::all();
    return {0, low_bits(static_cast<unsigned>(bit_field(*registers_.capability, 21, 16)) + 1)};
  }

  // CAP.FS5LP
  [[nodiscard]] bool first_stage_5_levels() const { return !registers_.capability || (*registers_.capability & bit(60)) != 0; }

  // Address bits that are reserved in every structure.
  [[nodiscard]] std::uint64_t beyond_host() const {
    return ~low_bits(registers_.host_address_width ? registers_.host_address_width : 52);
  }

 private:
  Registers const& registers_;
};

}  // namespace swiommu::vtd
