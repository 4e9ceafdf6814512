// Fields of the registers that profiles hold. The names of hardware/ are in the manuals; these say what they mean for a profile.
#pragma once
#include <cstdint>

#include "swiommu/base/bits.h"

namespace swiommu {

// Bits high:low of a register.
struct RegisterField {
  unsigned high, low;
  // A register that holds the value in this field, all other bits 0.
  [[nodiscard]] constexpr std::uint64_t holding(std::uint64_t value) const { return value << low; }
  [[nodiscard]] constexpr std::uint64_t of(std::uint64_t whole) const { return bit_field(whole, high, low); }
};

namespace vtd_field {
// CAP_REG
inline constexpr RegisterField domain_ids{2, 0}, address_widths{12, 8}, greatest_width{21, 16}, zero_length_reads{22, 22},
    fault_record_offset{33, 24}, large_pages{37, 34}, selective_invalidation{39, 39}, greatest_mask{53, 48}, drain{55, 54},
    user_1g_pages{56, 56}, user_5_levels{60, 60};
// ECAP_REG
inline constexpr RegisterField coherent{0, 0}, queued_invalidation{1, 1}, device_tlb{2, 2}, interrupt_remapping{3, 3},
    extended_interrupts{4, 4}, pass_through{6, 6}, snoop_control{7, 7}, iotlb_offset{17, 8}, greatest_handle_mask{23, 20},
    nested{26, 26}, page_requests{29, 29}, supervisor_requests{31, 31}, no_write_flag{33, 33}, extended_accessed_flag{34, 34},
    pasid_size{39, 35}, pasid{40, 40}, page_request_drain{42, 42}, scalable{43, 43}, parent_flags{45, 45}, parent_tables{46, 46},
    user_tables{47, 47}, coherent_walks{48, 48};
}  // namespace vtd_field

namespace smmuv3_field {
// IDR0
inline constexpr RegisterField parent_tables{0, 0}, user_tables{1, 1}, table_format{3, 2}, coherent{4, 4}, flag_updates{7, 6},
    ats{10, 10}, wide_asids{12, 12}, message_interrupts{13, 13}, page_requests{16, 16}, wide_vmids{18, 18},
    two_level_directory{19, 19}, byte_order{22, 21}, stalls{25, 24}, two_level_streams{28, 27};
// IDR1
inline constexpr RegisterField stream_bits{5, 0}, pasid_bits{10, 6}, page_request_queue{15, 11}, event_queue{20, 16},
    command_queue{25, 21};
// IDR3
inline constexpr RegisterField no_table_rights{2, 2}, forced_write_back{8, 8}, range_invalidation{10, 10},
    break_before_make{12, 11};
// IDR5
inline constexpr RegisterField output_size{2, 0}, granule_4k{4, 4}, granule_16k{5, 5}, granule_64k{6, 6}, wide_inputs{11, 10};
}  // namespace smmuv3_field

namespace amd_field {
// the extended feature register
inline constexpr RegisterField page_requests{1, 1}, x2apic{2, 2}, user_tables{4, 4}, invalidate_all{6, 6}, guest_apic{7, 7},
    parent_levels{11, 10}, user_levels{13, 12}, directory_levels{15, 14}, greatest_pasid{36, 32}, guest_io{48, 48},
    parent_accessed{49, 49}, parent_dirty{52, 52};
// the extended feature 2 register
inline constexpr RegisterField guest_directory_address{3, 3};
}  // namespace amd_field

namespace riscv_field {
// capabilities
inline constexpr RegisterField version{7, 0}, sv39{9, 9}, sv48{10, 10}, sv57{11, 11}, memory_types{15, 15}, sv39x4{17, 17},
    sv48x4{18, 18}, sv57x4{19, 19}, flag_updates{24, 24}, ats{25, 25}, physical_bits{37, 32}, directory_8{38, 38},
    directory_17{39, 39}, directory_20{40, 40};
}  // namespace riscv_field

}  // namespace swiommu
