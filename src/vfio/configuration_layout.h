// Names for what lies where in the configuration space of a function: PCI Local Bus Specification 3.0, chapter 6; PCI Express
// Base Specification 5.0, chapter 7; PCI Bus Power Management Interface Specification 1.2, chapter 3.
#pragma once
#include <cstdint>

namespace swiommu::vfio::layout {

// The header of type 0.
inline constexpr unsigned vendor = 0x00, device = 0x02, command = 0x04, status = 0x06, revision = 0x08, class_code = 0x09,
                          cache_line = 0x0c, latency_timer = 0x0d, base_address = 0x10, subsystem_vendor = 0x2c, subsystem = 0x2e,
                          capabilities = 0x34, interrupt_line = 0x3c, interrupt_pin = 0x3d;
inline constexpr std::uint16_t command_memory = 1 << 1, command_bus_master = 1 << 2, command_parity = 1 << 6,
                               command_serr = 1 << 8, command_interrupt_disable = 1 << 10;
inline constexpr std::uint16_t status_interrupt = 1 << 3, status_capabilities = 1 << 4;

// Capabilities: where each lies, if it is there.
inline constexpr unsigned power = 0x40, msi = 0x50, express = 0x70, msix = 0xb0, serial_number = 0x100;
inline constexpr std::uint8_t power_id = 0x01, msi_id = 0x05, express_id = 0x10, msix_id = 0x11;
inline constexpr std::uint16_t serial_number_id = 0x0003;

// Offsets in a capability.
inline constexpr unsigned power_control = 4;
inline constexpr unsigned power_states = 3;  // bits 1:0: 0 is D0, 3 is D3hot
inline constexpr std::uint16_t power_no_soft_reset = 1 << 3;

inline constexpr unsigned msi_control = 2, msi_address = 4, msi_upper_address = 8, msi_data = 12;
inline constexpr std::uint16_t msi_enable = 1 << 0, msi_multiple = 7 << 4, msi_64 = 1 << 7;

inline constexpr unsigned msix_control = 2, msix_table = 4, msix_pending = 8;
inline constexpr std::uint16_t msix_enable = 1 << 15;

inline constexpr unsigned express_flags = 2, express_capabilities = 4, express_control = 8, express_link_capabilities = 12,
                          express_link_status = 18, express_control_2 = 40;
inline constexpr std::uint32_t express_reset = 1u << 28;  // FLR, in the capabilities
inline constexpr std::uint16_t express_initiate_reset = 1 << 15, express_phantom = 1 << 9, express_ari = 1 << 5;

}  // namespace swiommu::vfio::layout
