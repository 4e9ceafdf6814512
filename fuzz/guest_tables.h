// The tables that a guest would write for its IOMMU, in a stream's memory: they turn the iovas from first_dma() on into the
// addresses at which a stream maps that memory first.
#pragma once
#include "ioctl_world.h"

namespace swiommu::fuzzing {

class GuestTables {
 public:
  static constexpr std::uint64_t contexts = 8 * Arena::page;  // where contexts are, in the arena; the tables are before it

  explicit GuestTables(World const& world) : world_(world) {}

  [[nodiscard]] std::uint64_t root() const { return world_.first_iova; }
  [[nodiscard]] std::uint64_t directory() const { return world_.first_iova + contexts; }
  [[nodiscard]] std::uint64_t first_dma() const { return hardware() == Hardware::s390_zpci ? world_.first_iova : 0; }

  void write() const {
    switch (hardware()) {
      case Hardware::s390_zpci: return write_zpci();
      case Hardware::amd:
        // A GCR3 table: V.
        for (unsigned n = 0; n < 4; n++) put(contexts + 8 * n, root() | 1);
        break;
      case Hardware::riscv:
        // A process directory of one level: ta with V, and fsc.
        for (unsigned n = 0; n < 4; n++) {
          put(contexts + 16 * n, 1);
          put(contexts + 16 * n + 8, riscv_pointer(sv48, root()));
        }
        break;
      default:
        // Arm's context descriptors: 48 bits, 4 KiB granule, no upper table, valid, A, R, AA64.
        for (unsigned n = 0; n < 4; n++) {
          put(contexts + 64 * n, 16 | bit(30) | bit(31) | std::uint64_t{5} << 32 | bit(41) | bit(45) | bit(46));
          put(contexts + 64 * n + 8, root());
        }
    }
    constexpr unsigned levels = 4;
    for (unsigned level = 0; level + 1 < levels; level++)
      for (unsigned n = 0; n < 2; n++) put(level * Arena::page + 8 * n, table(root() + (level + 1) * Arena::page));
    for (unsigned n = 0; n < Arena::pages; n++) put((levels - 1) * Arena::page + 8 * n, leaf(root() + n * Arena::page));
  }
  void put(std::uint64_t at, std::uint64_t word) const { std::memcpy(world_.arena.data() + at, &word, sizeof word); }

  // An entry of a table that leads there. 0x467 is present, writable and accessed in the tables of x86 and of Arm.
  [[nodiscard]] std::uint64_t table(std::uint64_t address) const {
    return hardware() == Hardware::riscv ? address >> 2 | 1 : address | 0x467;
  }
  [[nodiscard]] std::uint64_t leaf(std::uint64_t address) const {
    return hardware() == Hardware::riscv       ? address >> 2 | 0xd7
           : hardware() == Hardware::s390_zpci ? swapped(address)
                                               : address | 0x467;
  }

  // iosatp, or pdtp.
  static constexpr unsigned sv48 = 9, pd8 = 1;
  static std::uint64_t riscv_pointer(unsigned mode, std::uint64_t address) { return std::uint64_t{mode} << 60 | address >> 12; }
  // IOTA: a region-third table.
  [[nodiscard]] std::uint64_t zpci_anchor() const { return root() | 0x800 | 1 << 2; }

 private:
  [[nodiscard]] Hardware hardware() const { return world_.profile.hardware; }
  static std::uint64_t swapped(std::uint64_t word) { return __builtin_bswap64(word); }

  // A region-third and a segment table of 16 KiB each, and an I/O page table. Only what the iovas need.
  void write_zpci() const {
    constexpr std::uint64_t segments = 4 * Arena::page, pages = 8 * Arena::page;
    std::uint64_t const iova = first_dma();
    put(8 * bit_field(iova, 41, 31), swapped((root() + segments) | 1 << 2 | 3));
    put(segments + 8 * bit_field(iova, 30, 20), swapped(root() + pages));
    for (unsigned n = 0; n < Arena::pages; n++)
      put(pages + 8 * bit_field(iova + n * Arena::page, 19, 12), leaf(root() + n * Arena::page));
  }

  World const& world_;
};

}  // namespace swiommu::fuzzing
