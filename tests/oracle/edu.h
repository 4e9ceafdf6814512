// QEMU's educational PCI device, which copies between memory and a buffer of its own: the DMA of the test.
//
// The buffer is divided into slots of one word. Those that are written from hold values of their own, for all time; what was read
// is fetched from the others, by one write of the device while the IOMMU lets it through.
#pragma once
#include <cstdint>
#include <vector>

#include "oracle/guest_memory.h"
#include "oracle/qemu.h"

namespace swiommu::oracle {

class Edu {
 public:
  static constexpr unsigned slots = 256;  // of each kind

  // Where its registers are, and memory for the fetched slots, at an address that RAM and the IOMMU agree on while it is off.
  struct Place {
    std::uint64_t registers;
    std::uint64_t buffer;
  };
  Edu(Qemu& qemu, Place place) : qemu_(qemu), place_(place) {}

  static std::uint64_t written_value(unsigned slot) { return GuestMemory::data_at(0xed000000 + 8 * slot); }

  // While the IOMMU is off: fills the slots to write from, and forgets what was read.
  void prepare();
  // Reads, or writes, the word at an iova.
  void read(std::uint64_t iova, unsigned slot) { copy(iova, buffer + 8 * slot, 8, from_memory); }
  void write(std::uint64_t iova, unsigned slot) { copy(buffer + written_from + 8 * slot, iova, 8, to_memory); }
  // While the IOMMU is off: what was read, as far as run() has been called.
  void fetch(unsigned count) { copy(buffer, place_.buffer, 8 * count, to_memory); }
  [[nodiscard]] std::uint64_t fetched(unsigned slot) const;

 private:
  static constexpr std::uint64_t buffer = 0x40000, written_from = 8 * slots;
  static constexpr unsigned from_memory = 1, to_memory = 3;
  void copy(std::uint64_t source, std::uint64_t destination, std::uint64_t length, unsigned direction);

  Qemu& qemu_;
  Place const place_;
};

}  // namespace swiommu::oracle
