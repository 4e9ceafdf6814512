// Guests behind AMD-Vi: every number of levels, pages of sizes between the levels' own, skipped levels, and a guest table alone.
#pragma once
#include "made_guests/vtd.h"

namespace swiommu {

inline constexpr std::uint64_t amd_rights = std::uint64_t{3} << 61;

inline MadeGuest made_amd_device(std::uint64_t features) {
  MadeGuest guest;
  guest.iommu = "amd";
  guest.registers = {{"DEVTAB", guest.allocate(8192) | 1}, {"CONTROL", 1 | 1 << 16}, {"EXTFEAT", features}, {"STATUS", 0}};
  return guest;
}
inline void put_device_entry(MadeGuest& guest, std::initializer_list<std::uint64_t> words) {
  guest.put((guest.registers[0].second & ~std::uint64_t{0xfff}) + 32 * 0x28, words);
}

inline MadeGuest made_amd_v1(unsigned levels) {
  MadeGuest guest = made_amd_device(0x2 << 10);
  MadeTable table(guest, made_levels(levels, 12, 9, levels == 6 ? 7 : 9), guest.allocate(4096),
                  [](std::uint64_t below, unsigned level) { return below | 1 | std::uint64_t{level} << 9 | amd_rights; });
  // A page of 2^lg2 bytes: its size in the address, the word repeated over its items.
  auto const page = [&](std::uint64_t iova, unsigned lg2, std::uint64_t output, std::uint64_t rights) {
    unsigned const level = (lg2 - 12) / 9;
    unsigned const own = 12 + 9 * level;
    std::uint64_t const size_code = lg2 == own ? 0 : 7 << 9 | (((std::uint64_t{1} << (lg2 - 1)) - 1) & ~std::uint64_t{0xfff});
    for (std::uint64_t n = 0; n < std::uint64_t{1} << (lg2 - own); n++)
      table.leaf(iova + (n << own), level, output | size_code | 1 | rights);
    guest.mappings.push_back({iova, iova + ((std::uint64_t{1} << lg2) - 1), output, (rights >> 61 & 1) != 0,
                              (rights >> 62 & 1) != 0, std::uint64_t{1} << lg2});
    guest.fill_with_data(output + (std::uint64_t{1} << lg2) - 0x1000, 1);
  };
  constexpr std::uint64_t r = std::uint64_t{1} << 61, w = std::uint64_t{1} << 62;
  page(0x1000, 12, 0x90001000, r | w);
  page(0x2000, 13, 0x90004000, r);
  page(0x8000, 15, 0x90010000, r | w);
  page(0x10000, 16, 0x90030000, w);
  page(0x100000, levels > 1 ? 20 : 19, 0x90100000, r | w);
  if (levels > 1) {
    page(0x400000, 21, 0x90600000, r);
    page(0x800000, 22, 0x90800000, r | w);
    page(0x20000000, levels > 2 ? 29 : 28, 0xa0000000, r | w);
  }
  if (levels > 2) page(1_GiB, 30, 0x100000000, r | w);
  if (levels > 3) page(std::uint64_t{2} << 39, 38, 0x8000000000, r);
  std::uint64_t const bits = levels == 6 ? 64 : 12 + 9 * levels;
  page((bits == 64 ? 0 : std::uint64_t{1} << bits) - 0x1000, 12, 0x90002000, r | w);
  if (levels > 2) {
    // From the root straight to a table of pages; what lies under the item otherwise is skipped.
    unsigned const top = levels - 1;
    std::uint64_t const iova = (levels == 3 ? 16_KiB >> 10 : 8_KiB >> 10) << (12 + 9 * top), leaves = guest.allocate(4096);
    guest.put(table.slot(iova, top), leaves | 1 | 1 << 9 | amd_rights);
    guest.put(leaves + 8 * 0x1f, 0x90003000 | 1 | amd_rights);
    guest.fill_with_data(0x90003000, 1);
    guest.mappings.insert(guest.mappings.end() - 1, {iova + 0x1f000, iova + 0x1ffff, 0x90003000, true, true, 4_KiB});
  }
  put_device_entry(guest, {3 | std::uint64_t{levels} << 9 | table.root | amd_rights, 5, 0, 0});
  return guest;
}

// AMD v2: a GCR3 table, for requests without a PASID too.
inline MadeGuest made_amd_v2(unsigned levels) {
  MadeGuest guest = made_amd_device(std::uint64_t{1} << 4 | 2 << 10 | 1 << 12 | 1 << 14 | std::uint64_t{1} << 48);
  std::uint64_t const gcr3 = guest.allocate(4096);
  guest.put(gcr3, made_x86_64(guest, levels, false) | 1);
  constexpr std::uint64_t guest_io = std::uint64_t{1} << 54, guest_valid = std::uint64_t{1} << 55;
  put_device_entry(guest, {3 | amd_rights | guest_io | guest_valid | (gcr3 >> 12 & 7) << 58,
                           5 | (gcr3 >> 15 & 0xffff) << 16 | (gcr3 >> 31) << 43, std::uint64_t{levels - 4} << 54, 0});
  return guest;
}

}  // namespace swiommu
