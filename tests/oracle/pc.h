// The x86 machine around VT-d and AMD's IOMMU: 4 MiB of RAM, the device edu with id 0x28, a PCI bus that is programmed through
// ports.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "oracle/hardware.h"

namespace swiommu::oracle::pc {

inline constexpr std::uint32_t edu_device = 5 << 3;
inline constexpr std::uint64_t edu_registers = 0xe0000000;
// What the test keeps for itself lies in the second MiB: edu's buffer, then queues of the IOMMU.
inline constexpr std::uint64_t edu_buffer = 0x100000, queues = 0x110000;

inline Machine machine(std::string iommu) {
  return {.architecture = "x86_64",
          .arguments = {"-machine", "q35,memory-backend=ram", "-device", std::move(iommu), "-device",
                        "edu,dma_mask=0xffffffffffffffff,addr=5"},
          .ram = {0, (std::uint64_t{4} << 20) - 1}};
}

inline Layout layout() {
  return {.window = {0x200000, 0x3fffff},
          .nowhere = {{0x400000, 0xafffffff}, {std::uint64_t{1} << 32, ~std::uint64_t{0}}},
          .edu = {edu_registers, edu_buffer}};
}

inline void write_pci_configuration(Qemu& qemu, std::uint32_t device, std::uint32_t offset, std::uint32_t value) {
  qemu.write_port32(0xcf8, 0x80000000 | device << 8 | offset);
  qemu.write_port32(0xcfc, value);
}

// Gives the device edu its place on the bus, and lets it do DMA.
inline void start_edu(Qemu& qemu) {
  write_pci_configuration(qemu, edu_device, 0x10, edu_registers);
  write_pci_configuration(qemu, edu_device, 0x04, 6);
}

}  // namespace swiommu::oracle::pc
