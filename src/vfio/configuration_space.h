// The configuration space of a function as programs see it through VFIO: not the hardware's own, but one in which BARs can be
// sized, MSI be written and INTA# be disabled without any effect on the machine.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "swiommu/vfio/device_model.h"

namespace swiommu::vfio {

using BarAddresses = std::array<std::uint64_t, 6>;  // on the machine's bus, by number; 0: there is no such BAR

// What the interrupts of the function have to say in it.
struct InterruptState {
  bool line = false;          // INTA# is asserted
  bool msi = false;           // enabled by VFIO_DEVICE_SET_IRQS
  bool msix = false;          // so too
  unsigned msi_multiple = 0;  // base-2 logarithm of the messages that are enabled
};

// Not locked.
class ConfigurationSpace {
 public:
  ConfigurationSpace(ModelDescription const& model, BarAddresses const& addresses, std::uint64_t serial);

  // As an opener finds it: memory is decoded, and the function masters no bus.
  void start_over() { bytes_ = first_; }

  // One access, inside the space: 1, 2 or 4 bytes, naturally aligned.
  void read(unsigned offset, std::span<std::byte> to, InterruptState const& interrupts) const;
  // True: a Function Level Reset was asked for.
  [[nodiscard]] bool write(unsigned offset, std::span<std::byte const> from, InterruptState const& interrupts);

  // The function answers at its BARs.
  [[nodiscard]] bool memory_enabled() const;
  [[nodiscard]] bool bus_master() const;
  [[nodiscard]] bool interrupt_disabled() const;
  [[nodiscard]] bool msi_enabled() const;
  void set_powered();
  void set_bus_master(bool on);

 private:
  [[nodiscard]] bool powered() const;  // D0
  void put(unsigned offset, unsigned bytes, std::uint64_t value);
  void allow(unsigned offset, unsigned bytes, std::uint64_t bits);
  [[nodiscard]] std::uint16_t word(unsigned offset) const;
  void set_word(unsigned offset, std::uint16_t value);
  unsigned link(std::uint8_t id, unsigned at, unsigned last_pointer);
  void add_header(ModelDescription const& model, BarAddresses const& addresses);
  void add_capabilities(ModelDescription const& model, std::uint64_t serial);

  bool has_msi_ = false, has_msix_ = false, has_express_ = false;
  std::vector<std::uint8_t> first_, bytes_, writable_;  // writable_: the bits that programs may change
};

}  // namespace swiommu::vfio
