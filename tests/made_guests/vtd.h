// Guests behind VT-d, in the ways that the recorded ones are not.
#pragma once
#include "made_guests/made_guest.h"

namespace swiommu {

constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30; }

// A second-stage table of 3 to 5 levels: 4 KiB pages with each right, a 2 MiB page, a 1 GiB page at the very end.
inline std::uint64_t made_second_stage(MadeGuest& guest, unsigned levels) {
  constexpr std::uint64_t r = 1, w = 2, large = 0x80;
  MadeTable table(guest, made_levels(levels, 12, 9, 9), guest.allocate(4096),
                  [](std::uint64_t below, unsigned) { return below | r | w; });
  std::uint64_t const top = std::uint64_t{1} << (12 + 9 * levels);
  table.leaf(0x1000, 0, 0x90001000 | r | w);
  table.leaf(0x2000, 0, 0x90009000 | r);
  table.leaf(0x3000, 0, 0x90003000 | w);
  table.leaf(0x1ff000, 0, 0x90006000 | r | w);
  table.leaf(0x40000000, 1, 0x94000000 | r | w | large);
  table.leaf(top - 1_GiB - 0x1000, 0, 0x90007000 | r | w);
  table.leaf(top - 1_GiB, 2, 0x140000000 | r | large);
  for (std::uint64_t const data : {0x90001000, 0x90003000, 0x90006000, 0x90009000}) guest.fill_with_data(data, 1);
  guest.fill_with_data(0x90007000, 1);
  guest.fill_with_data(0x94003000);
  guest.fill_with_data(0x17ffff000, 1);
  guest.mappings = {{0x1000, 0x1fff, 0x90001000, true, true, 4_KiB},
                    {0x2000, 0x2fff, 0x90009000, true, false, 4_KiB},
                    {0x3000, 0x3fff, 0x90003000, false, true, 4_KiB},
                    {0x1ff000, 0x1fffff, 0x90006000, true, true, 4_KiB},
                    {0x40000000, 0x401fffff, 0x94000000, true, true, 2_MiB},
                    {top - 1_GiB - 0x1000, top - 1_GiB - 1, 0x90007000, true, true, 4_KiB},
                    {top - 1_GiB, top - 1, 0x140000000, true, false, 1_GiB}};
  return table.root;
}

inline constexpr std::uint64_t sagaw(unsigned levels) { return std::uint64_t{1} << (8 + levels - 2); }
inline constexpr std::uint64_t mgaw(unsigned levels) { return std::uint64_t{12 + 9 * levels - 1} << 16; }

inline MadeGuest made_vtd_legacy(unsigned levels) {
  MadeGuest guest;
  guest.iommu = "vtd";
  std::uint64_t const roots = guest.allocate(4096), contexts = guest.allocate(4096);
  guest.put(roots, contexts | 1);
  guest.put(contexts + 16 * 0x28, {made_second_stage(guest, levels) | 1, std::uint64_t{levels - 2} | 3 << 8});
  guest.registers = {{"RTADDR", roots}, {"CAP", 0x600 | mgaw(levels) | sagaw(levels)}, {"ECAP", 0xf00f4a}, {"GSTS", 0xc7000000}};
  return guest;
}

// Scalable mode, a device in the upper half of its bus, RID_PASID 0x45.
inline MadeGuest made_vtd_scalable(std::uint64_t pasid_entry_type, std::function<std::uint64_t(MadeGuest&)> const& make_table,
                                   std::uint64_t width_or_mode, unsigned sagaw_levels) {
  MadeGuest guest;
  guest.iommu = "vtd";
  guest.device = "00:10.5";
  std::uint64_t const roots = guest.allocate(4096), contexts = guest.allocate(4096), directory = guest.allocate(4096),
                      pasids = guest.allocate(4096);
  guest.put(roots, {0, contexts | 1});
  guest.put(contexts + 32 * 5, {directory | 1, 0x45, 0, 0});
  guest.put(directory + 8 * 1, pasids | 1);
  std::uint64_t const root = make_table(guest);
  bool const first = pasid_entry_type == 1;
  guest.put(pasids + 64 * 5, {1 | pasid_entry_type << 6 | (first ? 0 : root | width_or_mode << 2), 9,
                              first ? root | width_or_mode << 2 : 0, 0, 0, 0, 0, 0});
  constexpr std::uint64_t scalable = std::uint64_t{1} << 43, second = std::uint64_t{1} << 46,
                          first_stage = std::uint64_t{1} << 47, rid_pasid = std::uint64_t{1} << 49;
  guest.registers = {{"RTADDR", roots | 1 << 10},
                     {"CAP", 0x600 | std::uint64_t{1} << 60 | mgaw(sagaw_levels) | sagaw(sagaw_levels)},
                     {"ECAP", 0xf00f4a | scalable | second | first_stage | rid_pasid},
                     {"GSTS", 0xc0000000}};
  return guest;
}

inline MadeGuest made_vtd_scalable_second_stage(unsigned levels) {
  return made_vtd_scalable(2, [&](MadeGuest& guest) { return made_second_stage(guest, levels); }, levels - 2, levels);
}

// An x86-64 table of 4 or 5 levels, in both halves of the space if `canonical`.
inline std::uint64_t made_x86_64(MadeGuest& guest, unsigned levels, bool canonical) {
  constexpr std::uint64_t p = 1, w = 2, u = 4, ad = 0x60, large = 0x80;
  MadeTable table(guest, made_levels(levels, 12, 9, 9), guest.allocate(4096),
                  [](std::uint64_t below, unsigned) { return below | p | w | u; });
  std::uint64_t const half = std::uint64_t{1} << (12 + 9 * levels - 1);
  table.leaf(0x7000, 0, 0x90001000 | p | w | u | ad);
  table.leaf(0x8000, 0, 0x90000000 | p | u);
  table.leaf(0x600000, 1, 0x94000000 | p | w | u | large);
  table.leaf(half - 1_GiB, 2, 0x140000000 | p | w | u | large);
  guest.mappings = {{0x7000, 0x7fff, 0x90001000, true, true, 4_KiB},
                    {0x8000, 0x8fff, 0x90000000, true, false, 4_KiB},
                    {0x600000, 0x7fffff, 0x94000000, true, true, 2_MiB},
                    {half - 1_GiB, half - 1, 0x140000000, true, true, 1_GiB}};
  if (canonical) {
    table.leaf(half, 0, 0x90002000 | p | w | u);
    guest.mappings.push_back({0 - half, (0 - half) + 0xfff, 0x90002000, true, true, 4_KiB});
  }
  guest.fill_with_data(0x90000000, 3);
  guest.fill_with_data(0x94001000);
  guest.fill_with_data(0x140000000);
  return table.root;
}

inline MadeGuest made_vtd_first_stage_5_levels() {
  return made_vtd_scalable(1, [](MadeGuest& guest) { return made_x86_64(guest, 5, true); }, 1, 4);
}

}  // namespace swiommu
