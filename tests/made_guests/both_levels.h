// Guests whose hardware walks two tables, with contexts of several PASIDs: what the other made guests do not have. The parent's
// table maps 1:1 where structures and data are, so that addresses mean the same on both sides of it.
#pragma once
#include "made_guests/amd.h"
#include "made_guests/riscv.h"
#include "made_guests/smmuv3.h"
#include "made_guests/vtd.h"

namespace swiommu {

// Fills a table of four levels with 1:1 leaves: 4 KiB ones for the structures, 1 GiB ones for the data. `leaf` gives the word.
template <class Leaf>
void map_one_to_one(MadeTable& table, Leaf leaf) {
  for (std::uint64_t at = 2_MiB; at < 4_MiB; at += 4_KiB) table.leaf(at, 0, leaf(at, 0));
  for (std::uint64_t at = 2_GiB; at < 8_GiB; at += 1_GiB) table.leaf(at, 2, leaf(at, 2));
}

inline MadeGuest made_vtd_nested() {
  MadeGuest guest = made_vtd_scalable(1, [](MadeGuest& g) { return made_x86_64(g, 4, true); }, 0, 4);
  MadeTable parent(guest, made_levels(4, 12, 9, 9), guest.allocate(4096),
                   [](std::uint64_t below, unsigned) { return below | 3; });
  map_one_to_one(parent, [](std::uint64_t at, unsigned level) { return at | 3 | (level > 0 ? 0x80 : 0); });
  auto const address = [&](std::uint64_t at) { return guest.get(at) & ~std::uint64_t{0xfff}; };
  std::uint64_t const roots = guest.registers[0].second & ~std::uint64_t{0xfff};
  std::uint64_t const context = address(roots + 8) + 32 * 5, pasids = address(address(context) + 8);
  guest.put(context, guest.get(context) | 1 << 3);          // PASIDE
  constexpr std::uint64_t nested = 3 << 6, flags = 1 << 9;  // PGTT, SSADE
  std::uint64_t const first_stage = guest.get(pasids + 64 * 5 + 16);
  guest.put(pasids + 64 * 5, {1 | nested | parent.root | 2 << 2, 9, first_stage});
  guest.put(pasids + 64 * 6, {1 | nested | flags | parent.root | 2 << 2, 9, first_stage});
  guest.put(pasids + 64 * 7, {1 | 4 << 6, 9});
  guest.registers[2].second |= 1 << 26 | 1 << 6 | std::uint64_t{1} << 40 | std::uint64_t{1} << 45;  // NEST, PT, PASID, SSADS
  return guest;
}

// Two-level context tables, with flags that the hardware writes; SubstreamID 3 has a table for the upper half as well.
inline MadeGuest made_smmuv3_nested() {
  MadeGuest guest = made_smmuv3({});
  MadeTable parent(guest, made_levels(4, 12, 9, 9), guest.allocate(4096),
                   [](std::uint64_t below, unsigned) { return below | 3; });
  map_one_to_one(parent, [](std::uint64_t at, unsigned level) { return at | 0x7fc | (level > 0 ? 1 : 3); });
  std::uint64_t const ste = (guest.registers[0].second & 0xfffffffffffc0) + 64 * 0x28;
  std::uint64_t const cd = guest.get(ste) & 0xfffffffffffc0, context = guest.get(cd), root = guest.get(cd + 8);
  std::uint64_t const contexts = guest.allocate(4096);
  constexpr std::uint64_t accessed = std::uint64_t{1} << 43, dirty = std::uint64_t{1} << 42;  // HA, HD
  for (std::uint64_t n = 0; n < 3; n++) {
    std::uint64_t const flags = n == 0 ? 0 : n == 1 ? accessed : accessed | dirty;
    guest.put(cd + 64 * n, {context | flags, root, 0, 0xff44ff0404ff4404});
  }
  constexpr std::uint64_t no_upper = std::uint64_t{1} << 30, upper = 16 << 16 | 2 << 22;  // EPD1; T1SZ, TG1
  guest.put(cd + 64 * 3, {(context & ~no_upper) | upper, root, root, 0xff44ff0404ff4404});
  constexpr std::uint64_t upper_half = 0xffff000000001000;
  guest.mappings.push_back({upper_half, upper_half + 0xfff, 0x90004000, true, true, 4_KiB});
  guest.put(contexts, cd | 1);
  constexpr std::uint64_t both = 7 << 1, two_levels = 1 << 4, context_bits = std::uint64_t{10} << 59;
  // 44 bits, 4 KiB granule, AArch64, accessed and dirty flags, a record for faults
  std::uint64_t const parent_fields = 7 | std::uint64_t{20} << 32 | std::uint64_t{2} << 38 | std::uint64_t{4} << 48 |
                                      std::uint64_t{1} << 51 | std::uint64_t{3} << 55 | std::uint64_t{1} << 58;
  guest.put(ste, {1 | both | two_levels | contexts | context_bits, 2, parent_fields, parent.root});
  guest.registers[3].second |= 2 << 6 | 1 << 19;        // IDR0: HTTU, CD2L
  guest.registers[4].second |= std::uint64_t{10} << 6;  // IDR1: SubstreamIDs
  return guest;
}

// A GCR3 table of two levels.
inline MadeGuest made_amd_nested() {
  MadeGuest guest = made_amd_v2(4);
  MadeTable parent(guest, made_levels(4, 12, 9, 9), guest.allocate(4096),
                   [](std::uint64_t below, unsigned level) { return below | 1 | std::uint64_t{level} << 9 | amd_rights; });
  map_one_to_one(parent, [](std::uint64_t at, unsigned) { return at | 1 | amd_rights; });
  std::uint64_t const entry = (guest.registers[0].second & ~std::uint64_t{0xfff}) + 32 * 0x28;
  std::uint64_t const word = guest.get(entry);
  std::uint64_t const leaves = (word >> 58 & 7) << 12 | (guest.get(entry + 8) >> 16 & 0xffff) << 15;
  std::uint64_t const table = guest.get(leaves), gcr3 = guest.allocate(4096);
  for (std::uint64_t pasid = 1; pasid < 4; pasid++) guest.put(leaves + 8 * pasid, table);
  guest.put(gcr3, leaves | 1);
  constexpr std::uint64_t two_levels = std::uint64_t{1} << 56, host_flags = 3 << 7;
  put_device_entry(guest, {3 | std::uint64_t{4} << 9 | parent.root | amd_rights | std::uint64_t{3} << 54 | two_levels |
                               host_flags | (gcr3 >> 12 & 7) << 58,
                           5 | (gcr3 >> 15 & 0xffff) << 16 | (gcr3 >> 31) << 43, 0, 0});
  guest.registers[1].second |= std::uint64_t{1} << 58;                           // CONTROL: GCR3TRPMode
  guest.registers[2].second |= std::uint64_t{1} << 49 | std::uint64_t{1} << 52;  // EXTFEAT: HASup, HDSup
  return guest;
}

// A process directory of two levels, with flags that the hardware writes.
inline MadeGuest made_riscv_nested() {
  MadeGuest guest = made_riscv({.extended = true});
  auto const ppn = [](std::uint64_t address) { return address >> 12 << 10; };
  MadeTable parent(guest, made_levels(4, 12, 9, 11), guest.allocate(16_KiB),
                   [&](std::uint64_t below, unsigned) { return ppn(below) | 1; });
  map_one_to_one(parent, [&](std::uint64_t at, unsigned) { return ppn(at) | 0xd7; });
  std::uint64_t const context = ((guest.registers[2].second >> 10) << 12) + 64 * 0x28, table = guest.get(context + 24);
  std::uint64_t const directory = guest.allocate(4096), processes = guest.allocate(4096);
  guest.put(directory, ppn(processes) | 1);
  for (std::uint64_t n = 0; n < 4; n++) guest.put(processes + 16 * n, {1, table});
  constexpr std::uint64_t pd17 = std::uint64_t{2} << 60, sv48x4 = std::uint64_t{9} << 60;
  constexpr std::uint64_t control = 1 | 1 << 5 | 3 << 7 | 1 << 9;  // V, PDTV, GADE, SADE, DPE
  guest.put(context, {control, sv48x4 | parent.root >> 12, 0x7000, pd17 | directory >> 12, 0, 0, 0, 0});
  guest.registers[0].second |= std::uint64_t{7} << 38 | 1 << 24;  // PD8, PD17, PD20, AMO_HWAD
  return guest;
}

}  // namespace swiommu
