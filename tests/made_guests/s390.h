// zPCI functions with the anchors that recorded guests do not have: segment, region-second and region-first tables; tables that
// are present in part, large segments.
#pragma once
#include "made_guests/vtd.h"

namespace swiommu {

inline MadeGuest made_s390(unsigned levels) {
  MadeGuest guest;
  guest.iommu = "s390";
  guest.big_endian = true;
  constexpr std::uint64_t protect = 0x200, large = 0x400, whole = 3;
  auto const empty = [](unsigned level) -> std::uint64_t { return level == 0 ? 0x400 : 0x20; };
  std::vector<MadeTable::Level> shape{{12, 8}};
  for (unsigned l = 1; l < levels; l++) shape.push_back({20 + 11 * (l - 1), 11});
  MadeTable table(
      guest, shape, guest.allocate(16_KiB, 0x20),
      [](std::uint64_t below, unsigned level) { return below | (level - 1) << 2 | (level > 1 ? whole : 0); }, empty);
  std::uint64_t const bits = shape.back().shift + 11;
  std::uint64_t const last = bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  table.leaf(0x1000, 0, 0x90001000);
  table.leaf(0x2000, 0, 0x90000000 | protect);
  table.leaf(0x300000, 1, 0x94000000 | large);
  table.leaf(last - 0xfff, 0, 0x90002000);
  guest.mappings = {{0x1000, 0x1fff, 0x90001000, true, true, 4_KiB},
                    {0x2000, 0x2fff, 0x90000000, true, false, 4_KiB},
                    {0x300000, 0x3fffff, 0x94000000, true, true, 1_MiB},
                    {last - 0xfff, last, 0x90002000, true, true, 4_KiB}};
  if (levels > 2) {
    // Of this table only the second and third quarter are there; the whole is protected.
    unsigned const up = levels - 1;
    std::uint64_t const iova = std::uint64_t{5} << shape[up].shift;
    std::uint64_t const middle = std::uint64_t{0x200} << shape[up - 1].shift;
    std::uint64_t at = iova + middle;
    table.leaf(at, 0, 0x90003000);
    std::uint64_t const slot = table.slot(at, up);
    guest.put(slot, (guest.get(slot) & ~std::uint64_t{3}) | protect | 1 << 6 | 2);
    guest.mappings.insert(guest.mappings.end() - 1, {at, at + 0xfff, 0x90003000, true, false, 4_KiB});
    at = iova + (std::uint64_t{0x600} << shape[up - 1].shift);  // in the last quarter: not mapped
    table.leaf(at, 0, 0x90001000);
  }
  guest.fill_with_data(0x90000000, 4);
  guest.fill_with_data(0x94010000);
  guest.registers = {{"IOTA", table.root | 0x800 | (levels - 2) << 2}, {"PBA", 0}, {"PAL", last}};
  return guest;
}

}  // namespace swiommu
