#include "profile/builtin_profiles.h"

#include "profile/register_field.h"

namespace swiommu {

namespace {

constexpr std::uint64_t vtd_cap() {
  using namespace vtd_field;
  return domain_ids.holding(6) |  // 16 bits
         address_widths.holding(0b0100) | greatest_width.holding(48 - 1) | zero_length_reads.holding(1) |
         fault_record_offset.holding(0x40) | large_pages.holding(0b11) | selective_invalidation.holding(1) |
         greatest_mask.holding(18) | drain.holding(0b11) | user_1g_pages.holding(1) | user_5_levels.holding(1);
}

constexpr std::uint64_t vtd_ecap() {
  using namespace vtd_field;
  return coherent.holding(1) | queued_invalidation.holding(1) | device_tlb.holding(1) | interrupt_remapping.holding(1) |
         extended_interrupts.holding(1) | pass_through.holding(1) | snoop_control.holding(1) | iotlb_offset.holding(0x50) |
         greatest_handle_mask.holding(0xf) | nested.holding(1) | page_requests.holding(1) | supervisor_requests.holding(1) |
         no_write_flag.holding(1) | pasid_size.holding(20 - 1) | pasid.holding(1) | page_request_drain.holding(1) |
         scalable.holding(1) | parent_flags.holding(1) | parent_tables.holding(1) | user_tables.holding(1) |
         coherent_walks.holding(1);
}

std::vector<std::uint64_t> smmuv3_registers() {
  using namespace smmuv3_field;
  return {
      parent_tables.holding(1) | user_tables.holding(1) | table_format.holding(2) |  // AArch64 alone
          coherent.holding(1) | flag_updates.holding(2) | ats.holding(1) | wide_asids.holding(1) | message_interrupts.holding(1) |
          page_requests.holding(1) | wide_vmids.holding(1) | two_level_directory.holding(1) |
          byte_order.holding(2) |  // little-endian
          stalls.holding(1) |      // none
          two_level_streams.holding(1),
      stream_bits.holding(16) | pasid_bits.holding(20) | page_request_queue.holding(8) | event_queue.holding(8) |
          command_queue.holding(8),
      0,
      no_table_rights.holding(1) | forced_write_back.holding(1) | range_invalidation.holding(1) | break_before_make.holding(2),
      0,
      output_size.holding(5) | granule_4k.holding(1) | granule_16k.holding(1) | granule_64k.holding(1),
      0,   // the implementation is nobody's
      2};  // version 3.2
}

constexpr std::uint64_t amd_efr() {
  using namespace amd_field;
  return page_requests.holding(1) | x2apic.holding(1) | user_tables.holding(1) | invalidate_all.holding(1) |
         guest_apic.holding(1) | parent_levels.holding(2) |  // 6 levels
         directory_levels.holding(2) |                       // 3 levels; x86-64 tables have 4
         greatest_pasid.holding(15) | guest_io.holding(1) | parent_accessed.holding(1) | parent_dirty.holding(1);
}

constexpr std::uint64_t riscv_capabilities() {
  using namespace riscv_field;
  return version.holding(0x10) | sv39.holding(1) | sv48.holding(1) | memory_types.holding(1) | sv39x4.holding(1) |
         sv48x4.holding(1) | flag_updates.holding(1) | physical_bits.holding(56) | directory_8.holding(1) |
         directory_17.holding(1) | directory_20.holding(1);
}

}  // namespace

std::span<BuiltinProfile const> builtin_rows() {
  static constexpr BuiltinProfile rows[] = {
      {"intel-vtd", "Intel VT-d in scalable mode, with nested translation and PASIDs", Hardware::intel_vtd},
      {"arm-smmuv3", "Arm SMMUv3.2 with 4K granules, nested translation and PASIDs", Hardware::arm_smmuv3},
      {"amd", "AMD-Vi with host tables, and guest tables for PASIDs", Hardware::amd},
      {"riscv", "RISC-V IOMMU with Sv48 tables", Hardware::riscv},
      {"s390-zpci", "s390 PCI functions with region-third tables", Hardware::s390_zpci},
      {"kernel-selftest", "the model that Linux' own iommufd selftests run on, up to Linux 7.2", Hardware::kernel_selftest},
      {"kernel-selftest-7.3", "the same for the selftests of Linux 7.3", Hardware::kernel_selftest},
  };
  return rows;
}

Result<Profile> make_builtin(BuiltinProfile const& row) {
  return guarded([&]() -> Result<Profile> {
    Profile p{.name = std::string(row.name), .description = std::string(row.description), .hardware = row.hardware};
    switch (row.hardware) {
      case Hardware::intel_vtd: p.registers = {vtd_cap(), vtd_ecap()}; break;
      case Hardware::arm_smmuv3: p.registers = smmuv3_registers(); break;
      case Hardware::amd: p.registers = {amd_efr(), amd_field::guest_directory_address.holding(1)}; break;
      case Hardware::riscv: p.registers = {riscv_capabilities()}; break;
      case Hardware::s390_zpci: p.registers = {0x100000000, low_bits(42)}; break;
      case Hardware::kernel_selftest: p.registers = {0xdeadbeef}; break;
    }
    SWIOMMU_TRY(p.derive());
    if (row.name == "kernel-selftest-7.3") p.of(PagingUse::usual)->format.page_sizes |= bit(12);
    return p;
  });
}

}  // namespace swiommu
