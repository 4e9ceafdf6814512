// VT-d as QEMU has it. "Intel Virtualization Technology for Directed I/O", chapters 3, 7 (fault codes), 9 and 11.
#include "swiommu/hardware/vtd.h"

#include <array>
#include <string>

#include "oracle/all_hardware.h"
#include "oracle/pc.h"
#include "oracle/probes.h"
#include "oracle/table_builder.h"
#include "oracle/vtd_deviations.h"
#include "oracle/vtd_faults.h"

namespace swiommu::oracle {

namespace {

constexpr std::uint64_t registers = 0xfed90000;
constexpr std::uint64_t extended_capability = 0x10, global_command = 0x18, root_table = 0x20, context_command = 0x28,
                        fault_status = 0x34;
constexpr std::uint64_t iotlb_invalidate = 0xf8, fault_recording = 0x220;  // where QEMU has them, as its CAP and ECAP say

enum class Mode { legacy, second_stage, first_stage };

// Section 9.8, second-stage paging entries.
std::uint64_t second_stage_rights(Random& random) {
  std::uint64_t word = one_in(random, 6) ? below(random, 4) : 3;  // R, W
  if (one_in(random, 4)) word |= random() & (bit_span(6, 2) | bit_span(11, 8) | bit_span(62, 52));
  return word;
}

TableShape second_stage(Random& random, unsigned levels) {
  return {.levels = levels,
          .leaf_levels = 7,
          .table = [&random](std::uint64_t address, unsigned) { return address | (second_stage_rights(random) & ~bit(11)); },
          .leaf = [&random](std::uint64_t address, unsigned level,
                            unsigned) { return address | second_stage_rights(random) | (level > 0 ? bit(7) : 0); }};
}

// Section 9.7, first-stage paging entries.
std::uint64_t first_stage_rights(Random& random) {
  std::uint64_t word = one_in(random, 6) ? below(random, 8) : 7;  // P, R/W, U/S
  if (one_in(random, 4)) word |= random() & (bit_span(6, 3) | bit_span(11, 8) | bit_span(63, 52));
  return word;
}

TableShape first_stage(Random& random) {
  return {.levels = 4,
          .leaf_levels = 7,
          .table = [&random](std::uint64_t address, unsigned) { return address | first_stage_rights(random); },
          .leaf = [&random](std::uint64_t address, unsigned level,
                            unsigned) { return address | first_stage_rights(random) | (level > 0 ? bit(7) : 0); }};
}

class Vtd final : public Hardware {
 public:
  Vtd(Mode mode, std::string_view name, std::string properties) : mode_(mode), name_(name), properties_(std::move(properties)) {}

  std::string_view name() const override { return name_; }
  Machine machine() const override { return pc::machine("intel-iommu," + properties_); }
  Layout layout() const override { return pc::layout(); }
  std::uint32_t device() const override { return pc::edu_device; }
  std::span<Deviation const> deviations() const override { return vtd_deviations; }

  void start(Qemu& qemu) override {
    pc::start_edu(qemu);
    qemu.ask64(registers + 8);
    qemu.ask64(registers + extended_capability);
    auto const answers = qemu.run();
    registers_ = {
        .capability = answers[0], .extended_capability = answers[1], .global_status = bit(31), .host_address_width = 48};
  }

  std::vector<Probe> make(Random& random, GuestMemory& memory) override {
    std::uint64_t const root = memory.allocate(random), contexts = memory.allocate(random);
    registers_.root_table_address = root | (mode_ == Mode::legacy ? 0 : bit(10));
    memory.set(root, contexts | 1);
    std::vector<std::uint64_t> structures{root};
    auto const levels = static_cast<unsigned>(3 + below(random, 2));
    TableBuilder tables(random, memory, mode_ == Mode::first_stage ? first_stage(random) : second_stage(random, levels),
                        at_its_address);
    std::uint64_t const domain = below(random, 65536);
    if (mode_ == Mode::legacy) {
      std::uint64_t const entry = contexts + 16 * device();
      memory.set(entry, tables.root() | (one_in(random, 8) ? 3 : 1));
      memory.set(entry + 8, (levels - 2) | domain << 8);
      structures.insert(structures.end(), {entry, entry + 8});
    } else {
      std::uint64_t const directory = memory.allocate(random), pasids = memory.allocate(random);
      std::uint64_t const pasid = one_in(random, 16) ? below(random, 4096) : 0;  // RID_PASID
      std::uint64_t const context = contexts + 32 * device(), entry = pasids + 64 * (pasid & 63);
      memory.set(context, directory | 1 | below(random, 8) << 9);
      memory.set(context + 8, pasid);
      memory.set(directory + 8 * (pasid >> 6), pasids | 1);
      if (mode_ == Mode::second_stage) {
        memory.set(entry, tables.root() | 1 | (levels - 2) << 2 | 2 << 6);
      } else {
        memory.set(entry, 1 | 1 << 6 | (one_in(random, 16) ? below(random, 8) : 2) << 2);  // AW does not matter
        memory.set(entry + 16, tables.root());
      }
      memory.set(entry + 8, domain);
      structures.insert(structures.end(), {context, context + 8, directory + 8 * (pasid >> 6), entry, entry + 8, entry + 16});
    }
    std::vector<std::uint64_t> inputs;
    for (std::uint64_t n = 2 + below(random, 10); n > 0; n--) {
      std::uint64_t const input = tables.map(memory.any_page(random));
      inputs.push_back(mode_ == Mode::first_stage && (input & bit(47)) != 0 ? input | bit_span(63, 48) : input);
    }
    if (one_in(random, 2))
      for (std::uint64_t n = 1 + below(random, 3); n > 0; n--) spoil(random, memory, tables.entries());
    if (one_in(random, 4)) spoil(random, memory, structures);
    return make_probes(random, inputs);
  }

  std::unique_ptr<ContextSource> unit(MemoryView const& memory) const override {
    return std::make_unique<vtd::Unit>(vtd::Unit::create(registers_, memory).value());
  }

  void enable(Qemu& qemu) override {
    qemu.write64(registers + root_table, registers_.root_table_address);
    qemu.write32(registers + global_command, 0xc0000000);  // SRTP, TE
  }
  void disable(Qemu& qemu) override { qemu.write32(registers + global_command, 0); }
  void forget(Qemu& qemu) override {
    qemu.write64(registers + context_command, bit(63) | bit(61));   // ICC, all
    qemu.write64(registers + iotlb_invalidate, bit(63) | bit(60));  // IVT, all
  }

  void ask_fault(Qemu& qemu) override {
    qemu.ask64(registers + fault_recording + 8);
    qemu.write64(registers + fault_recording + 8, bit(63));
    qemu.write32(registers + fault_status, 1);  // PFO
  }
  std::optional<std::uint32_t> fault(Qemu&, std::span<std::uint64_t const> answers) override {
    if ((answers[0] & bit(63)) == 0) return std::nullopt;
    return static_cast<std::uint32_t>(bit_field(answers[0], 39, 32));
  }

  std::optional<std::vector<std::uint32_t>> expected_faults(Comparison const& comparison) const override {
    bool const first = comparison.configuration && comparison.configuration->user &&
                       comparison.configuration->user->format.format == FormatName::x86_64;
    return vtd_faults::expected(comparison, mode_ != Mode::legacy, first);
  }

 private:
  Mode const mode_;
  std::string_view const name_;
  std::string const properties_;
  vtd::Registers registers_;
};

}  // namespace

std::vector<std::unique_ptr<Hardware>> vtd_hardware() {
  std::vector<std::unique_ptr<Hardware>> all;
  all.push_back(std::make_unique<Vtd>(Mode::legacy, "VT-d, legacy mode, second stage", "aw-bits=48,snoop-control=on"));
  all.push_back(std::make_unique<Vtd>(Mode::second_stage, "VT-d, scalable mode, second stage",
                                      "aw-bits=48,scalable-mode=on,snoop-control=on"));
  all.push_back(
      std::make_unique<Vtd>(Mode::first_stage, "VT-d, scalable mode, first stage", "aw-bits=48,scalable-mode=on,fsts=on"));
  return all;
}

}  // namespace swiommu::oracle
