// A made guest as the files of a case: an ELF core, by the layout of the System V ABI, and case.json.
#pragma once
#include <elf.h>

#include <nlohmann/json.hpp>

#include "made_guests/made_guest.h"

namespace swiommu {

inline std::string elf_core_of(MadeGuest const& guest) {
  struct Segment {
    std::uint64_t address, bytes;
  };
  std::vector<Segment> segments;
  for (auto const& [number, bytes] : guest.pages()) {
    std::uint64_t const address = number * MadeGuest::page_size;
    if (!segments.empty() && segments.back().address + segments.back().bytes == address)
      segments.back().bytes += MadeGuest::page_size;
    else
      segments.push_back({address, MadeGuest::page_size});
  }
  std::string file(ELFMAG);
  file += static_cast<char>(ELFCLASS64);
  file += static_cast<char>(guest.big_endian ? ELFDATA2MSB : ELFDATA2LSB);
  file += static_cast<char>(EV_CURRENT);
  file.resize(EI_NIDENT);
  auto const number = [&](std::uint64_t value, unsigned size) {
    for (unsigned n = 0; n < size; n++) file += static_cast<char>(value >> 8 * (guest.big_endian ? size - 1 - n : n));
  };
  number(ET_CORE, 2);
  number(guest.big_endian ? EM_S390 : EM_X86_64, 2);
  number(EV_CURRENT, 4);
  number(0, 8);                   // entry
  number(sizeof(Elf64_Ehdr), 8);  // the program headers follow at once
  number(0, 8);                   // no section headers
  number(0, 4);                   // flags
  for (std::uint64_t const half : {sizeof(Elf64_Ehdr), sizeof(Elf64_Phdr), segments.size()}) number(half, 2);
  for (unsigned n = 0; n < 3; n++) number(0, 2);
  std::uint64_t offset = sizeof(Elf64_Ehdr) + segments.size() * sizeof(Elf64_Phdr);
  for (Segment const& segment : segments) {
    number(PT_LOAD, 4);
    number(PF_R | PF_W, 4);
    for (std::uint64_t const word : {offset, std::uint64_t{0}, segment.address, segment.bytes, segment.bytes, std::uint64_t{1}})
      number(word, 8);
    offset += segment.bytes;
  }
  for (auto const& [ignored, bytes] : guest.pages()) file.append(bytes.begin(), bytes.end());
  return file;
}

inline std::string hex_text(std::uint64_t value) {
  char text[19];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

inline std::string case_json_of(MadeGuest const& guest) {
  nlohmann::ordered_json json;
  json["iommu"] = guest.iommu;
  json["device"]["id"] = guest.device;
  for (auto const& [name, value] : guest.registers) json["registers"][name] = hex_text(value);
  json["byte_order"] = guest.big_endian ? "big" : "little";
  return json.dump();
}

}  // namespace swiommu
