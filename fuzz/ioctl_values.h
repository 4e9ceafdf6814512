// From a fuzzer's bytes to the fields of the structures. Zeros give a call that makes sense, right after the calls before it.
#pragma once
#include <algorithm>
#include <iterator>
#include <vector>

#include "fuzz_input.h"
#include "guest_tables.h"
#include "ioctl_data.h"
#include "ioctl_grammar.h"
#include "ioctl_world.h"

namespace swiommu::fuzzing {

class Values {
 public:
  explicit Values(World const& world) : world_(world), tables_(world) {}

  // An id or a descriptor that a call gave, by the kind of the field that it was in.
  void add(Kind given, std::uint32_t id) {
    switch (given) {
      case Kind::new_ioas: remember({Kind::ioas, Kind::attachable, Kind::any_id}, id); break;
      case Kind::new_paging: remember({Kind::paging, Kind::attachable, Kind::any_id}, id); break;
      case Kind::new_nested: remember({Kind::nested, Kind::attachable, Kind::any_id}, id); break;
      case Kind::new_device: remember({Kind::device, Kind::any_id}, id); break;
      case Kind::new_mock: remember({Kind::mock, Kind::any_id}, id); break;
      case Kind::new_fault_queue: remember({Kind::fault_queue, Kind::any_id}, id); break;
      case Kind::new_viommu: remember({Kind::viommu, Kind::any_id}, id); break;
      case Kind::new_other: remember({Kind::any_id}, id); break;
      case Kind::new_item: remember({Kind::item}, id); break;
      case Kind::new_access: remember({Kind::access, Kind::file}, id); break;
      case Kind::new_file: remember({Kind::file}, id); break;
      case Kind::new_fault_file: remember({Kind::fault_file, Kind::file}, id); break;
      default: remember({given}, id); break;
    }
  }
  // What was mapped.
  void add_area(std::uint64_t iova, std::uint64_t length) {
    if (areas_.size() == most_known) areas_.erase(areas_.begin());
    areas_.push_back({iova, length});
  }
  // The next iova and the length after it have nothing to do with the last ones.
  void forget_area() { picked_ = 0; }

  void add_buffer(std::uint32_t descriptor) { remember({Kind::buffer, Kind::file}, descriptor); }

  std::uint64_t field(FuzzInput& input, Kind kind, DataShape const* data) {
    auto const form = input.take<std::uint8_t>();
    if (form >= 252) return input.number();
    if (form >= 249) return ~std::uint64_t{0} - input.below(2);
    return usual(input, kind, form % 24, data);
  }

  std::uint64_t word(FuzzInput& input, Word word) const {
    auto const form = input.take<std::uint8_t>();
    if (form >= 252) return input.number();
    std::uint64_t const page = Arena::page * input.below(Arena::pages);
    switch (word) {
      case Word::none: return 0;
      case Word::flag4: return form < 160 ? 0 : form < 220 ? 1 : form % 8;
      case Word::small4: return form < 128 ? 0 : form % 8;
      case Word::device4: return virtual_id(form % 24);
      case Word::width4: return form < 160 ? 48 : form < 220 ? 57 : form;
      case Word::number: return form < 64 ? 0 : std::uint64_t{form} << (form % 56);
      case Word::start:
      case Word::table_address: return world_.first_iova + page;
      case Word::last: return world_.first_iova + (form < 64 ? Arena::size : page) + Arena::page - 1;
      case Word::pages: return form < 128 ? 1 + form % 8 : form < 160 ? ~std::uint64_t{0} : std::uint64_t{1} << (form % 64);
      // V, Config = 5 (contexts) or another; the contexts are in one table of up to 16
      case Word::stream_entry0:
        return (form < 224 ? 1 : 0) | (form < 160 ? 5ull : form % 8) << 1 | (tables_.directory() + page % (2 * Arena::page)) |
               (form % 4 == 0 ? 0ull : 2ull) << 59;
      case Word::stream_entry1: return form < 128 ? 0 : (form % 4) | (form % 2 == 0 ? 0ull : std::uint64_t{1} << 28);
      case Word::bytes: return form < 128 ? Arena::page * (1 + form % 8) : form < 160 ? ~std::uint64_t{0} : bit(form % 64);
      case Word::format4: return form < 160 ? form % 8 : form;
      case Word::smmuv3_command0: return smmuv3_command(input, form);
      case Word::amd_command0: return amd_command(input, form);
      case Word::amd_command1: return (world_.first_iova + page) | form % 8;
      case Word::riscv_command0: return riscv_command(input, form);
      case Word::riscv_command1: return (world_.first_iova + page) >> 2 | (form % 4 == 3 ? bit(9) : 0);
      // V, TV, GV, IR, IW; the GCR3 table has one level
      case Word::device_entry0:
        return spoiled(bit(0) | bit(1) | bit(55) | bit(61) | bit(62) | bit_field(tables_.directory(), 14, 12) << 58, form);
      case Word::device_entry1:
        return spoiled(bit_field(tables_.directory(), 30, 15) << 16 | bit_field(tables_.directory(), 51, 31) << 43 | form % 4,
                       form);
      // V, and with PDTV a process directory
      case Word::device_context0: return spoiled(bit(0) | (form % 2 == 0 ? 0 : bit(5)), form);
      case Word::device_context2:
        return spoiled(form % 2 == 0 ? GuestTables::riscv_pointer(GuestTables::sv48, tables_.root())
                                     : GuestTables::riscv_pointer(GuestTables::pd8, tables_.directory()),
                       form);
      case Word::anchor: return spoiled(tables_.zpci_anchor(), form);
      case Word::raw_levels: return form < 128 ? 0 : form < 192 ? form % 6 : std::uint64_t{form} << 8 * (form % 4);
      case Word::smmuv3_command1:
        return (world_.first_iova + page) | (form < 128 ? 0 : std::uint64_t{form} % 4 << 10 | (form & 1));
    }
    return 0;
  }

  // A word of a guest's tables and contexts.
  std::uint64_t table_word(FuzzInput& input) const {
    auto const form = input.below(8);
    if (form == 7) return input.number();
    if (form == 6) return 0;
    std::uint64_t const to = world_.first_iova + Arena::page * input.below(Arena::pages);
    std::uint64_t word = form == 0 ? tables_.table(to) : tables_.leaf(to);
    if (form > 2) word ^= input.take<std::uint16_t>() & 0xfff;
    if (form == 5) word ^= bit(32 + input.below(32));
    return word;
  }
  static constexpr std::uint8_t pasid_form = 8;  // of Kind::hwpt_flags: with PASIDs
  [[nodiscard]] GuestTables const& tables() const { return tables_; }

 private:
  static constexpr std::uint32_t types[] = {0, 1, 2, 3, 4, 0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef, SWIOMMU_HWPT_DATA_RAW};
  static constexpr std::size_t most_known = 24;

  void remember(std::initializer_list<Kind> kinds, std::uint32_t id) {
    for (Kind const kind : kinds) {
      auto& ids = known_[static_cast<std::size_t>(kind)];
      if (ids.size() == most_known) ids.erase(ids.begin());
      ids.push_back(id);
    }
  }
  // Mostly one that there was, and for zeros the last one.
  std::uint64_t known(FuzzInput& input, Kind kind, unsigned form) const {
    auto const& ids = known_[static_cast<std::size_t>(kind)];
    if (form >= 23 || ids.empty()) return input.below(16);
    return ids[ids.size() - 1 - (form == 0 ? 0 : input.below(static_cast<unsigned>(ids.size())))];
  }
  static std::uint64_t virtual_id(unsigned form) { return form < 22 ? 1 + form % 4 : form; }
  [[nodiscard]] bool mocks() const { return world_.profile.hardware == Hardware::kernel_selftest; }

  static std::uint64_t spoiled(std::uint64_t word, unsigned form) {
    return form < 160 ? word : form < 240 ? word ^ bit(form % 64) : form % 8;
  }

  // Commands of the guests of each hardware: one that a guest may give, or another.
  static std::uint64_t amd_command(FuzzInput& input, unsigned form) {
    constexpr unsigned codes[] = {2, 3, 4, 8};
    std::uint64_t const code = form < 224 ? codes[input.below(4)] : form % 16;
    return code << 60 | std::uint64_t{form % 4} << 32 | (code == 3 ? input.below(6) : virtual_id(input.below(24)));
  }
  static std::uint64_t riscv_command(FuzzInput& input, unsigned form) {
    constexpr unsigned codes[] = {0x001, 0x003, 0x083};
    std::uint64_t const code = form < 224 ? codes[input.below(3)] : std::uint64_t{form} * 5 % 1024;
    if (code == 1) return code | (form % 2 == 0 ? bit(10) : 0) | (form % 8 == 3 ? bit(32) : 0);
    return code | virtual_id(input.below(24)) << 40 | (form % 8 == 7 ? 0 : bit(33)) | std::uint64_t{form % 5} << 12;
  }
  static std::uint64_t smmuv3_command(FuzzInput& input, unsigned form) {
    constexpr std::uint64_t codes[] = {0x10, 0x11, 0x12, 0x13, 0x30, 0x05, 0x06, 0x40};
    std::uint64_t const code = form < 224 ? codes[input.below(8)] : form;
    std::uint64_t const stream = virtual_id(input.below(24));
    if (code == 0x05) return code | stream << 32 | std::uint64_t{input.below(5)} << 12;
    if (code == 0x06 || code == 0x40) return code | stream << 32;
    if (form % 2 == 0) return code;
    std::uint64_t const count = input.below(32);
    return code | count << 12 | std::uint64_t{input.below(32)} << 20;
  }

  std::uint64_t usual(FuzzInput& input, Kind kind, unsigned form, DataShape const* data) {
    switch (kind) {
      case Kind::none:
      case Kind::zero:
      case Kind::zero8: return form < 23 ? 0 : form;
      case Kind::flag: return form < 23 ? form % 2 : form;
      case Kind::pins: return form < 18 ? 1 : form < 23 ? 0 : form;
      case Kind::map_flags: return form < 14 ? 7 : form < 18 ? 6 : input.below(8);
      case Kind::type1_flags: return form < 18 ? 3 : input.below(8);
      case Kind::hwpt_flags: {
        // nesting parent 1, dirty tracking 2, fault queue 4, PASIDs 8
        constexpr unsigned usual[] = {1, 1, 1, 0, 0, 2, 2, 3, 8, 8, 12, 12, 4, 5};
        return form < std::size(usual) ? usual[form] : form < 18 ? 2 : input.below(17);
      }
      case Kind::nested_flags: {
        constexpr unsigned fault_queue = IOMMU_HWPT_FAULT_ID_VALID;
        return form < 12 ? fault_queue : form < 18 ? 0 : input.below(17);
      }
      case Kind::mock_flags: return form < 16 ? 4 : input.below(8);
      case Kind::access_flags: return form < 8 ? 0 : form < 14 ? 1 : form < 17 ? 4 : form < 20 ? 1 << 16 : input.below(16);
      case Kind::index: return form < 20 ? form % 2 : form;
      case Kind::small: return form < 16 ? 1 + form : input.below(64);
      case Kind::limit:
        return form == 0 ? 48 : form < 8 ? 8 * form : form < 12 ? Arena::page * (form - 7) : form < 20 ? 0 : 1 << form;
      case Kind::pasid: return form < 18 ? 1 + form % 4 : form < 20 ? 1024 : form < 22 ? 0 : 1 << form;
      case Kind::operation: return (1 + input.below(3)) % 3;
      case Kind::any_type: return form < 4 ? 0 : types[input.below(std::size(types))];
      case Kind::viommu_type:
        return form < 22 && !world_.profile.viommus.empty() ? world_.profile.viommus.front()
                                                            : types[input.below(std::size(types))];
      case Kind::queue_type: return form < 22 ? (mocks() ? 0xdeadbeef : 1) : types[input.below(std::size(types))];
      case Kind::event_type: return form < 22 ? (mocks() ? 0xbeefbeef : 1) : types[input.below(std::size(types))];
      case Kind::descriptor: return form < 16 ? static_cast<unsigned>(world_.arena.file()) : known(input, Kind::buffer, form);
      case Kind::data_type: return form < 22 ? data->type : types[input.below(std::size(types))];
      case Kind::data_length: return form < 20 ? length_of(*data) : form < 22 ? 8 * (form - 19) : input.take<std::uint16_t>();
      case Kind::data_count: return form < 10 ? 1 : form < 20 ? 1 + form % 4 : input.take<std::uint16_t>();
      case Kind::iova:
        if (form == 0) return world_.first_iova;
        if (form < 11 && !areas_.empty()) {
          auto const& area = areas_[input.below(static_cast<unsigned>(areas_.size()))];
          picked_ = area.length;
          return area.iova;
        }
        if (form < 18) return world_.first_iova + Arena::page * input.below(2 * Arena::pages);
        return form < 22 ? world_.first_iova + 512 * input.below(256) : std::uint64_t{1} << input.below(64);
      case Kind::length:
        if (form < 11 && picked_ != 0) return picked_;
        if (form == 0) return Arena::size;
        if (form < 14) return Arena::page * (1 + form % 8);
        if (form < 18) return 2048 * (form - 13);
        return form < 22 ? Arena::size : std::uint64_t{1} << input.below(64);
      case Kind::offset: return form < 10 ? Arena::page * (form % 5) : form < 16 ? 0 : 2048 * form;
      case Kind::page_size: return form < 16 ? 4096 : form < 20 ? 2048 : std::uint64_t{1} << form;
      case Kind::address:
        if (form == 0) return world_.arena.address();
        if (form < 18) return world_.arena.address() + Arena::page * input.below(Arena::pages + 2);
        return form == 18 ? 0 : world_.arena.address() + 8 * input.take<std::uint16_t>();
      case Kind::data_address:
        return form < 22 ? std::bit_cast<std::uint64_t>(world_.arena.structure_data()) : usual(input, Kind::address, form, data);
      case Kind::virtual_id: return virtual_id(form);
      case Kind::value: return form < 20 ? form % 2 : form;
      default: return is_given(kind) ? 0 : known(input, kind, form);
    }
  }

  static std::uint64_t length_of(DataShape const& data) {
    std::uint64_t sum = 0;
    for (Word const word : data.words)
      if (word != Word::none) sum += size_of(word);
    return sum;
  }

  struct Area {
    std::uint64_t iova, length;
  };

  World const& world_;
  GuestTables const tables_;
  std::vector<Area> areas_;
  std::uint64_t picked_ = 0;  // length of the area that the last iova is the start of
  std::vector<std::uint32_t> known_[static_cast<std::size_t>(Kind::value) + 1];
};

}  // namespace swiommu::fuzzing
