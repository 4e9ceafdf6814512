// What becomes of a command. NVM Express 1.4, 4.6.1.
#pragma once
#include <cstdint>

namespace swiommu::vfio::nvme {

struct Status {
  std::uint16_t code = 0;  // the type in bits 10:8, the code of that type in bits 7:0
  bool retry = false;      // the same command may succeed later

  [[nodiscard]] constexpr bool ok() const { return code == 0; }
  // The upper half of doubleword 3 of a completion, without its phase tag. `more`: the error log says more.
  [[nodiscard]] constexpr std::uint16_t field(bool more) const {
    return static_cast<std::uint16_t>(code << 1 | (more ? 1 << 14 : 0) | (ok() || retry ? 0 : 1 << 15));
  }
  constexpr bool operator==(Status const& other) const { return code == other.code; }
};

namespace status {

inline constexpr Status success{};
// Generic, 4.6.1.2.1.
inline constexpr Status invalid_opcode{0x001}, invalid_field{0x002}, data_transfer_error{0x004, true},
    internal_error{0x006, true}, abort_requested{0x007}, invalid_namespace{0x00b}, command_sequence_error{0x00c},
    invalid_sgl_segment_descriptor{0x00d}, invalid_number_of_sgl_descriptors{0x00e}, data_sgl_length_invalid{0x00f},
    sgl_descriptor_type_invalid{0x011}, prp_offset_invalid{0x013}, write_protected{0x020}, lba_out_of_range{0x080};
// Command specific, 4.6.1.2.2.
inline constexpr Status completion_queue_invalid{0x100}, invalid_queue_identifier{0x101}, invalid_queue_size{0x102},
    too_many_event_requests{0x105}, invalid_interrupt_vector{0x108}, invalid_log_page{0x109}, invalid_queue_deletion{0x10c},
    feature_not_saveable{0x10d}, feature_not_of_namespace{0x10f};
// Media and data integrity, 4.6.1.2.3.
inline constexpr Status write_fault{0x280, true}, write_lost{0x280}, unrecovered_read_error{0x281, true}, compare_failure{0x285};

}  // namespace status
}  // namespace swiommu::vfio::nvme
