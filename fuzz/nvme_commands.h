// Commands for an NVMe controller that is fuzzed: as they should be, then spoiled.
#pragma once
#include "nvme_guest.h"

namespace swiommu::fuzzing {

class NvmeCommands {
 public:
  using Command = vfio::nvme::Command;

  NvmeCommands(DeviceMachine& machine, FuzzInput& input) : machine_(machine), input_(input) {}

  // Somewhere in the window, mostly among the data.
  std::uint64_t iova() {
    unsigned const form = input_.below(16);
    std::uint64_t const page = form < 11   ? NvmeGuest::first_data + input_.below(DeviceMachine::window - NvmeGuest::first_data)
                               : form < 13 ? list_page()
                                           : 1 + input_.below(DeviceMachine::window + 1);
    if (form == 15) return input_.number();
    return page * page_bytes + (form % 4 == 3 ? input_.take<std::uint16_t>() % page_bytes : 0);
  }

  // Entries of a PRP list, or descriptors of an SGL, in one of the pages for lists.
  void write_list() {
    std::uint64_t at = list_page() * page_bytes + (input_.flag() ? 0 : input_.take<std::uint16_t>() % page_bytes);
    unsigned const count = 1 + input_.below(12);
    if (input_.flag()) {
      at &= input_.below(16) == 15 ? ~0ull : ~7ull;
      for (unsigned n = 0; n < count; n++, at += 8) machine_.put(at, any_entry());
      return;
    }
    for (unsigned n = 0; n < count; n++, at += 16) {
      unsigned const form = input_.below(16);
      bool const leads_on = form == 14 || form == 15 || (n + 1 == count && form > 8);
      machine_.put(at, leads_on ? list_page() * page_bytes : iova());
      std::uint64_t const type = form == 13 ? input_.take<std::uint8_t>() : !leads_on ? 0 : form % 2 == 0 ? 0x20 : 0x30;
      machine_.put(at + 8, (leads_on ? 16ull * input_.below(16) : length()) | type << 56);
    }
  }

  std::uint64_t any_entry() {
    unsigned const form = input_.below(16);
    return form < 2 ? list_page() * page_bytes : form == 15 ? iova() : align_down(iova(), 12);
  }

  // What an Abort may be about.
  void note_request(std::uint16_t id) { last_request_ = id; }
  Command admin() {
    using enum vfio::nvme::AdminOpcode;
    constexpr vfio::nvme::AdminOpcode usual[] = {delete_submission_queue,
                                                 create_submission_queue,
                                                 get_log_page,
                                                 delete_completion_queue,
                                                 create_completion_queue,
                                                 identify,
                                                 abort,
                                                 set_features,
                                                 get_features,
                                                 asynchronous_event_request};
    auto const opcode = usual[input_.below(std::size(usual))];
    auto const id = static_cast<std::uint16_t>(input_.below(NvmeGuest::queues + 1));
    Command c{.opcode = static_cast<std::uint8_t>(opcode)};
    switch (opcode) {
      case create_completion_queue: c = NvmeGuest::create_completions(id, 1 + input_.below(17)); break;
      case create_submission_queue:
        c = NvmeGuest::create_submissions(id, id, 1 + input_.below(17));
        if (input_.below(4) == 3) c.cdw11 = input_.below(NvmeGuest::queues + 1) << 16 | 1;
        break;
      case delete_completion_queue:
      case delete_submission_queue: c.cdw10 = id; break;
      case identify:
        c.cdw10 = input_.below(4);
        c.nsid = input_.below(5);
        break;
      case get_log_page:
        c.cdw10 = input_.below(7);
        c.cdw10 |= (input_.below(24) * 64u + 63) << 16;  // up to a page and a half
        c.cdw10 |= input_.flag() ? 1u << 15 : 0;
        c.cdw12 = input_.below(4) == 0 ? input_.take<std::uint16_t>() : 0;
        break;
      case abort:
        c.cdw10 = input_.below(4) == 3 ? 1 : 0;
        c.cdw10 |= (input_.below(8) != 7 ? last_request_ : input_.below(NvmeGuest::command_ids)) << 16;
        break;
      case set_features:
      case get_features:
        c.cdw10 = input_.below(13);
        c.cdw10 |= input_.below(4) == 3 ? input_.below(8) << 8 : 0;
        c.cdw11 = input_.take<std::uint16_t>();
        c.cdw11 &= input_.flag() ? 0xffff : 3;
        break;
      case asynchronous_event_request: break;
    }
    if (c.prp1 == 0) name_memory(c, {});
    return spoiled(c);
  }

  Command io() {
    using enum vfio::nvme::NvmOpcode;
    constexpr vfio::nvme::NvmOpcode usual[] = {write,  read, write, read, compare, write_zeroes, dataset_management,
                                               verify, flush};
    auto const opcode = usual[input_.below(std::size(usual))];
    Command c{.opcode = static_cast<std::uint8_t>(opcode)};
    unsigned const form = input_.below(8);
    if (input_.below(4) == 3) {  // what was read is compared, or written elsewhere
      c = last_io_;
      c.opcode = static_cast<std::uint8_t>(opcode);
      return c;
    }
    c.nsid = form < 4 ? 1 : form < 7 ? 2 : 3;
    if (opcode == dataset_management) {
      c.cdw10 = input_.below(8) == 7 ? input_.take<std::uint8_t>() : input_.below(4);
      c.cdw11 = input_.below(4) == 3 ? input_.below(8) : 4;
      name_memory(c, 16 * (c.cdw10 + 1));
      write_ranges(c.prp1, c.cdw10 + 1);
    } else {
      bool const large = c.nsid == 2;
      c.cdw10 = input_.below(large ? 7 : c.nsid == 1 ? 50 : 14);
      c.cdw12 = input_.below(4) == 3 ? input_.below(large ? 5 : 34) : input_.below(2);
      std::uint32_t const bytes = (c.cdw12 + 1) << (large ? 12 : 9);
      if (input_.below(8) == 7) c.cdw12 |= std::uint32_t{input_.take<std::uint8_t>()} << 24;
      name_memory(c, bytes);
    }
    last_io_ = spoiled(c);
    return last_io_;
  }

  // A length in bytes for an SGL: of blocks mostly.
  std::uint32_t length() {
    unsigned const form = input_.below(8);
    return form < 3    ? 4096
           : form < 6  ? 512u * (1 + input_.below(32))
           : form == 6 ? input_.below(64)
                       : input_.take<std::uint32_t>();
  }

 private:
  std::uint64_t list_page() { return NvmeGuest::first_list + input_.below(NvmeGuest::lists); }

  // By PRPs, or for so many bytes by an SGL.
  void name_memory(Command& c, std::optional<std::uint32_t> bytes) {
    unsigned const form = input_.below(bytes ? 8 : 4);
    c.prp1 = iova();
    switch (form) {
      case 0:
      case 1: c.prp2 = align_down(iova(), 12); return;
      case 2:
      case 3:
        c.prp2 = list_page() * page_bytes;
        c.prp2 += form == 2 ? 0 : 16 * input_.take<std::uint8_t>();
        return;
      case 4:
      case 5: c.prp2 = input_.below(4) == 3 ? length() : *bytes; break;
      default: c.prp1 = list_page() * page_bytes; c.prp2 = 16ull * (1 + input_.below(12)) | (form == 6 ? 3ull : 2ull) << 60;
    }
    c.flags = 0x40;
  }
  void write_ranges(std::uint64_t at, unsigned count) {
    for (unsigned n = 0; n < std::min(count, 4u); n++, at += 16) {
      machine_.put(at, std::uint64_t{input_.below(12)} << 32);
      machine_.put(at + 8, std::uint64_t{input_.below(16) == 15 ? input_.take<std::uint32_t>() : input_.below(60)});
    }
  }
  // Mostly not.
  Command spoiled(Command c) {
    if (input_.below(4) != 3) return c;
    switch (input_.below(8)) {
      case 0: c.opcode = input_.take<std::uint8_t>(); break;
      case 1: c.flags = input_.take<std::uint8_t>(); break;
      case 2: c.nsid = input_.flag() ? vfio::nvme::every_namespace : input_.take<std::uint32_t>(); break;
      case 3: c.prp1 = input_.flag() ? c.prp1 ^ bit(input_.below(64)) : input_.number(); break;
      case 4: c.prp2 = input_.flag() ? c.prp2 ^ bit(input_.below(64)) : input_.number(); break;
      case 5: c.cdw10 ^= 1u << input_.below(32); break;
      case 6: c.cdw11 ^= 1u << input_.below(32); break;
      default: c.cdw12 ^= 1u << input_.below(32); break;
    }
    return c;
  }

  DeviceMachine& machine_;
  FuzzInput& input_;
  Command last_io_;
  std::uint32_t last_request_ = 0;
};

}  // namespace swiommu::fuzzing
