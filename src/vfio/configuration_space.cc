#include "vfio/configuration_space.h"

#include <algorithm>
#include <bit>

#include "swiommu/base/bits.h"
#include "vfio/configuration_layout.h"

namespace swiommu::vfio {

using namespace layout;

ConfigurationSpace::ConfigurationSpace(ModelDescription const& model, BarAddresses const& addresses, std::uint64_t serial)
    : bytes_(model.extended ? 4096 : 256), writable_(bytes_.size()) {
  add_header(model, addresses);
  add_capabilities(model, serial);
  first_ = bytes_;
}

void ConfigurationSpace::put(unsigned offset, unsigned bytes, std::uint64_t value) {
  for (unsigned n = 0; n < bytes; n++) bytes_[offset + n] = static_cast<std::uint8_t>(value >> 8 * n);
}

void ConfigurationSpace::allow(unsigned offset, unsigned bytes, std::uint64_t bits) {
  for (unsigned n = 0; n < bytes; n++) writable_[offset + n] = static_cast<std::uint8_t>(bits >> 8 * n);
}

std::uint16_t ConfigurationSpace::word(unsigned offset) const {
  return static_cast<std::uint16_t>(bytes_[offset] | bytes_[offset + 1] << 8);
}

void ConfigurationSpace::set_word(unsigned offset, std::uint16_t value) { put(offset, 2, value); }

void ConfigurationSpace::add_header(ModelDescription const& model, BarAddresses const& addresses) {
  put(vendor, 2, model.identity.vendor);
  put(layout::device, 2, model.identity.device);
  put(command, 2, command_memory);
  allow(command, 2, command_memory | command_bus_master | command_parity | command_serr | command_interrupt_disable);
  put(status, 2, status_capabilities);
  put(layout::revision, 1, model.identity.revision);
  put(layout::class_code, 3, model.identity.class_code);
  allow(cache_line, 1, 0xff);
  allow(latency_timer, 1, 0xff);
  for (Bar const& bar : model.bars) {
    unsigned const at = base_address + 4 * bar.number, width = bar.wide ? 8 : 4;
    std::uint64_t const kind = (bar.wide ? 4u : 0u) | (bar.prefetchable ? 8u : 0u);
    put(at, width, addresses[bar.number] | kind);
    allow(at, width, ~(bar.bytes - 1));
  }
  put(subsystem_vendor, 2, model.identity.subsystem_vendor);
  put(layout::subsystem, 2, model.identity.subsystem);
  allow(interrupt_line, 1, 0xff);
  put(interrupt_pin, 1, model.line ? 1 : 0);
}

unsigned ConfigurationSpace::link(std::uint8_t id, unsigned at, unsigned last_pointer) {
  put(last_pointer, 1, at);
  put(at, 1, id);
  return at + 1;
}

void ConfigurationSpace::add_capabilities(ModelDescription const& model, std::uint64_t serial) {
  has_msi_ = model.msi_vectors != 0;
  has_msix_ = model.msix.vectors != 0;
  has_express_ = model.extended;

  unsigned pointer = link(power_id, power, layout::capabilities);
  put(power + 2, 2, 3);  // version; no D1, no D2, no PME
  put(power + power_control, 2, power_no_soft_reset);
  allow(power + power_control, 1, power_states);
  if (has_msi_) {
    pointer = link(msi_id, layout::msi, pointer);
    put(layout::msi + msi_control, 2, log2_floor(model.msi_vectors) << 1 | msi_64);
    allow(layout::msi + msi_control, 2, msi_enable | msi_multiple);
    allow(layout::msi + msi_address, 4, ~std::uint64_t{3});
    allow(layout::msi + msi_upper_address, 4, ~std::uint64_t{0});
    allow(layout::msi + msi_data, 2, 0xffff);
  }
  if (has_express_) {
    pointer = link(express_id, express, pointer);
    put(express + express_flags, 2, 2);                                     // version; an endpoint
    put(express + express_capabilities, 4, express_reset | 1u << 15 | 1u);  // role-based errors, 256 bytes of payload
    put(express + express_control, 2, 0x2810);                              // as after a reset: requests of 512 bytes
    put(express + express_link_capabilities, 4, 0x43);                      // 4 lanes, 8 GT/s
    put(express + express_link_status, 2, 0x43);
    allow(express + express_control, 2, 0xffff & ~express_phantom & ~express_initiate_reset);
    allow(express + express_control_2, 2, 0xffff & ~express_ari);
    put(serial_number, 4, serial_number_id | 1u << 16);
    put(serial_number + 4, 8, serial);
  }
  if (has_msix_) {
    link(msix_id, layout::msix, pointer);
    // Enabled by VFIO_DEVICE_SET_IRQS, never by writing here.
    put(layout::msix + msix_control, 2, model.msix.vectors - 1u);
    put(layout::msix + msix_table, 4, model.msix.table_offset | model.msix.bar);
    put(layout::msix + msix_pending, 4, model.msix.pending_offset | model.msix.bar);
  }
}

void ConfigurationSpace::read(unsigned offset, std::span<std::byte> to, InterruptState const& interrupts) const {
  auto const live = [&](unsigned at) -> unsigned {
    if (at == status && interrupts.line) return bytes_[at] | status_interrupt;
    if (has_msix_ && at == layout::msix + msix_control + 1 && interrupts.msix) return bytes_[at] | msix_enable >> 8;
    return bytes_[at];
  };
  for (unsigned n = 0; n < to.size(); n++) to[n] = static_cast<std::byte>(live(offset + n));
}

bool ConfigurationSpace::write(unsigned offset, std::span<std::byte const> from, InterruptState const& interrupts) {
  std::uint8_t const state = bytes_[power + power_control] & power_states;
  for (unsigned n = 0; n < from.size(); n++) {
    std::uint8_t& byte = bytes_[offset + n];
    std::uint8_t const mask = writable_[offset + n];
    byte = static_cast<std::uint8_t>((byte & ~mask) | (std::to_integer<unsigned>(from[n]) & mask));
  }
  // A state that the function does not have changes nothing.
  std::uint8_t& power_byte = bytes_[power + power_control];
  if (unsigned const wanted = power_byte & power_states; wanted == 1 || wanted == 2)
    power_byte = static_cast<std::uint8_t>((power_byte & ~power_states) | state);
  unsigned const msi_word = layout::msi + msi_control;
  if (has_msi_ && offset < msi_word + 2 && offset + from.size() > msi_word) {
    std::uint16_t control = word(layout::msi + msi_control);
    if (!interrupts.msi) control &= static_cast<std::uint16_t>(~msi_enable);
    if ((control & msi_multiple) >> 4 > static_cast<int>(interrupts.msi_multiple))
      control = static_cast<std::uint16_t>((control & ~msi_multiple) | interrupts.msi_multiple << 4);
    set_word(layout::msi + msi_control, control);
  }
  unsigned const reset_byte = express + express_control + 1;
  return has_express_ && offset <= reset_byte && offset + from.size() > reset_byte &&
         (std::to_integer<unsigned>(from[reset_byte - offset]) & express_initiate_reset >> 8) != 0;
}

bool ConfigurationSpace::powered() const { return (bytes_[power + power_control] & power_states) == 0; }
bool ConfigurationSpace::memory_enabled() const { return powered() && (word(command) & command_memory) != 0; }
bool ConfigurationSpace::bus_master() const { return powered() && (word(command) & command_bus_master) != 0; }
bool ConfigurationSpace::interrupt_disabled() const { return (word(command) & command_interrupt_disable) != 0; }
bool ConfigurationSpace::msi_enabled() const { return has_msi_ && (word(layout::msi + msi_control) & msi_enable) != 0; }

void ConfigurationSpace::set_powered() {
  bytes_[power + power_control] = static_cast<std::uint8_t>(bytes_[power + power_control] & ~power_states);
}

void ConfigurationSpace::set_bus_master(bool on) {
  std::uint16_t const others = word(command) & static_cast<std::uint16_t>(~command_bus_master);
  set_word(command, static_cast<std::uint16_t>(others | (on ? command_bus_master : 0)));
}

}  // namespace swiommu::vfio
