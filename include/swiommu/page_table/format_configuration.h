// Which page-table format, and how it is configured.
#pragma once
#include <cstdint>

#include "swiommu/base/result.h"

namespace swiommu {

enum class FormatName : std::uint8_t {
  vtd_second_stage,  // Intel VT-d second-stage
  x86_64,            // Intel VT-d first-stage, AMD v2
  amd_v1,            // AMD I/O page table ("host" table)
  arm_stage1,        // Arm VMSAv8-64, stage 1
  arm_stage2,        // Arm VMSAv8-64, stage 2
  riscv,             // RISC-V Sv39, Sv48, Sv57
  riscv_x4,          // RISC-V Sv39x4, Sv48x4, Sv57x4 (second stage)
  s390_zpci,         // s390 zPCI I/O translation tables
};

// One flat description for all formats; what a format does not have it ignores. 0 means "the usual value" everywhere.
struct FormatConfiguration {
  FormatName format = FormatName::vtd_second_stage;
  unsigned levels = 0;                  // number of levels, root included; s390: 2 segment, 3 region-third, 4, 5 region-first
  unsigned granule_lg2 = 0;             // Arm: 12, 14, 16; AMD v1: 12, or 11 as in the model of Linux' selftests
  unsigned input_bits = 0;              // Arm only: 64 - TnSZ; may make the root smaller, or (stage 2) concatenate roots
  unsigned output_bits = 0;             // largest output address, in bits; larger ones in an entry are refused
  bool zero_extended = false;           // x86-64: no canonical upper half (AMD v2 with PASID 0)
  bool upper_half = false;              // Arm stage 1: the table of TTB1
  bool top_byte_ignored = false;        // Arm stage 1: TBI
  bool accessed_updates = false;        // the walker sets accessed flags (VT-d SSADE, Arm HA, RISC-V SADE, AMD HAD)
  bool dirty_updates = false;           // the walker sets dirty flags (VT-d SSADE, Arm HD, RISC-V SADE, AMD HAD)
  bool access_flag_faults = true;       // Arm: CD.AFFD = 0, STE.S2AFFD = 0: a clear access flag faults
  bool snoop_control = true;            // VT-d second stage: leaves may have SNP (ECAP.SC)
  bool svnapot = true;                  // RISC-V: 64 KiB runs
  bool svpbmt = true;                   // RISC-V: memory types
  bool table_rights = true;             // Arm stage 1: APTable is honoured (CD.HAD0 = 0)
  std::uint64_t page_sizes = 0;         // bit n: leaves of 2^n bytes may be mapped; walks understand the others all the same
  std::uint64_t memory_attributes = 0;  // Arm stage 1: MAIR; 0 = the indirection that Linux uses

  bool operator==(FormatConfiguration const&) const = default;
};

}  // namespace swiommu
