// Guests behind a RISC-V IOMMU: each scheme, each depth of the device directory, big-endian, a second stage alone.
#pragma once
#include "made_guests/vtd.h"

namespace swiommu {

struct MadeRiscv {
  unsigned levels = 4, directory_levels = 1;
  bool second_stage = false, extended = false, big_endian = false;
};

inline MadeGuest made_riscv(MadeRiscv const& s) {
  MadeGuest guest;
  guest.iommu = "riscv";
  guest.big_endian = s.big_endian;
  constexpr std::uint64_t rw = 0xd7, r = 0xd3, svnapot = std::uint64_t{1} << 63;  // D A U W R V
  auto const ppn = [](std::uint64_t address) { return address >> 12 << 10; };
  MadeTable table(guest, made_levels(s.levels, 12, 9, s.second_stage ? 11 : 9), guest.allocate(s.second_stage ? 16_KiB : 4_KiB),
                  [&](std::uint64_t below, unsigned) { return ppn(below) | 1; });
  std::uint64_t const bits = 12 + 9 * s.levels + (s.second_stage ? 2 : 0);
  std::uint64_t const top = std::uint64_t{1} << (s.second_stage ? bits : bits - 1);  // the end of the lower half
  table.leaf(0x1000, 0, ppn(0x90001000) | rw);
  table.leaf(0x2000, 0, ppn(0x90000000) | r);
  for (std::uint64_t n = 0; n < 16; n++) table.leaf(0x30000 + n * 4096, 0, ppn(0x90010000 | 0x8000) | rw | svnapot);
  table.leaf(0x600000, 1, ppn(0x94000000) | rw);
  table.leaf(top - 1_GiB, 2, ppn(0x140000000) | rw);
  guest.mappings = {{0x1000, 0x1fff, 0x90001000, true, true, 4_KiB},
                    {0x2000, 0x2fff, 0x90000000, true, false, 4_KiB},
                    {0x30000, 0x3ffff, 0x90010000, true, true, 64_KiB},
                    {0x600000, 0x7fffff, 0x94000000, true, true, 2_MiB},
                    {top - 1_GiB, top - 1, 0x140000000, true, true, 1_GiB}};
  if (!s.second_stage) {
    table.leaf(0 - std::uint64_t{0x1000}, 0, ppn(0x90002000) | r);
    guest.mappings.push_back({0 - std::uint64_t{0x1000}, ~std::uint64_t{0}, 0x90002000, true, false, 4_KiB});
  }
  guest.fill_with_data(0x90000000, 3);
  guest.fill_with_data(0x90013000);
  guest.fill_with_data(0x94001000);
  guest.fill_with_data(0x140000000);

  // Device 0x28, or one with more bits where the directory is deeper.
  unsigned const leaf_bits = s.extended ? 6 : 7;
  std::uint64_t const id = s.directory_levels == 1 ? 0x28 : s.directory_levels == 2 ? 0x528 : 0x12528;
  guest.device = s.directory_levels == 1 ? "00:05.0" : s.directory_levels == 2 ? "0x528" : "0x12528";
  std::uint64_t const root = guest.allocate(4096);
  std::uint64_t page = root;
  for (unsigned l = s.directory_levels - 1; l > 0; l--) {
    std::uint64_t const next = guest.allocate(4096);
    guest.put(page + 8 * (id >> (leaf_bits + 9 * (l - 1)) & 0x1ff), ppn(next) | 1);
    page = next;
  }
  std::uint64_t const pointer = std::uint64_t{s.levels + 5} << 60 | table.root >> 12;
  std::uint64_t const control = 1 | (s.big_endian ? 1 << 10 : 0);
  guest.put(page + (s.extended ? 64 : 32) * (id & ((1u << leaf_bits) - 1)),
            {control, s.second_stage ? pointer : 0, 0x7000, s.second_stage ? 0 : pointer});
  constexpr std::uint64_t schemes = 7 << 9 | 7 << 17, extended = 1 << 22, both_orders = 1 << 27;
  guest.registers = {{"CAPABILITIES", 0x10 | schemes | (s.extended ? extended : 0) | both_orders | std::uint64_t{56} << 32},
                     {"FCTL", s.big_endian ? 1u : 0u},
                     {"DDTP", ppn(root) | (s.directory_levels + 1)}};
  return guest;
}

}  // namespace swiommu
