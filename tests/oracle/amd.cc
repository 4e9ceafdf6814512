// AMD's IOMMU as QEMU has it: host translation. "AMD I/O Virtualization Technology (IOMMU) Specification" (48882), sections 2.2
// to 2.5 and 3.4.
#include "swiommu/hardware/amd.h"

#include <cstring>
#include <string>

#include "oracle/all_hardware.h"
#include "oracle/amd_deviations.h"
#include "oracle/amd_events.h"
#include "oracle/pc.h"
#include "oracle/probes.h"
#include "oracle/table_builder.h"

namespace swiommu::oracle {

namespace {

constexpr std::uint64_t registers = 0xfed80000;
constexpr std::uint64_t commands = pc::queues, events = pc::queues + 0x10000;
constexpr unsigned commands_lg2 = 8, events_lg2 = 9;

enum Register : std::uint64_t {
  device_table_base = 0x00,
  command_base = 0x08,
  event_base = 0x10,
  control = 0x18,
  extended_feature = 0x30,
  command_tail = 0x2008,
  event_tail = 0x2018,
};

constexpr std::uint64_t enabled = bit(0) | bit(2) | bit(12);  // IommuEn, EventLogEn, CmdBufEn

constexpr std::uint64_t read = bit(61), write = bit(62);

std::uint64_t entry_bits(Random& random, bool leaf) {
  std::uint64_t word = 1 | read | write;
  if (one_in(random, leaf ? 6 : 12)) word ^= random() & (read | write);
  if (one_in(random, 4)) word |= random() & (bit_span(8, 1) | bit(63));
  if (leaf && one_in(random, 4)) word |= random() & bit_span(60, 59);  // FC, U
  if (one_in(random, 32)) word |= random() & bit_span(58, 52);
  return word;
}

TableShape host_table(Random& random, unsigned levels) {
  return {.levels = levels,
          .root_index_bits = levels == 6 ? 7u : 9u,
          .leaf_levels = 7,
          .most_run_lg2 = 8,
          .table = [&random](std::uint64_t address,
                             unsigned level) { return address | std::uint64_t{level} << 9 | entry_bits(random, false); },
          .leaf =
              [&random](std::uint64_t address, unsigned level, unsigned run_lg2) {
                std::uint64_t const word = address | entry_bits(random, true);
                // NextLevel 7: the size is where the first zero is
                return run_lg2 == 0 ? word : word | 7 << 9 | (low_bits(12 + 9 * level + run_lg2 - 1) & ~low_bits(12));
              }};
}

class Amd final : public Hardware {
 public:
  std::string_view name() const override { return "AMD, host translation"; }
  Machine machine() const override { return pc::machine("amd-iommu,dma-remap=on"); }
  Layout layout() const override { return pc::layout(); }
  std::uint32_t device() const override { return pc::edu_device; }
  std::span<Deviation const> deviations() const override { return amd_deviations; }

  void start(Qemu& qemu) override {
    pc::start_edu(qemu);
    // A queue that holds INVALIDATE_DEVTAB_ENTRY and INVALIDATE_IOMMU_ALL in turn, so that forget() has to move one index only.
    for (std::uint64_t n = 0; n < bit(commands_lg2); n++) {
      std::uint64_t const command[2] = {n % 2 == 0 ? std::uint64_t{2} << 60 | device() : std::uint64_t{8} << 60, 0};
      std::memcpy(qemu.at(commands + 16 * n), command, sizeof command);
    }
    qemu.write64(registers + command_base, commands | std::uint64_t{commands_lg2} << 56);
    next_command_ = 0;
    qemu.ask64(registers + extended_feature);
    registers_ = {.control = enabled, .extended_features = qemu.run()[0]};
  }

  std::vector<Probe> make(Random& random, GuestMemory& memory) override {
    std::uint64_t const table = memory.allocate(random), entry = table + 32 * device();
    registers_.device_table_base = table;  // 128 entries
    auto const levels = static_cast<unsigned>(1 + below(random, 6));
    TableBuilder tables(random, memory, host_table(random, levels), at_its_address);
    std::uint64_t word = tables.root() | std::uint64_t{levels} << 9 | 3 | read | write;  // Mode, TV, V
    if (one_in(random, 8)) word ^= random() & (read | write);
    memory.set(entry, word);
    memory.set(entry + 8, below(random, 65536));
    std::vector<std::uint64_t> inputs;
    for (std::uint64_t n = 2 + below(random, 10); n > 0; n--) inputs.push_back(tables.map(memory.any_page(random)));
    if (one_in(random, 2))
      for (std::uint64_t n = 1 + below(random, 3); n > 0; n--) spoil(random, memory, tables.entries());
    if (one_in(random, 4)) spoil(random, memory, {entry, entry, entry, entry + 8});
    return make_probes(random, inputs);
  }

  std::unique_ptr<ContextSource> unit(MemoryView const& memory) const override {
    return std::make_unique<amd::Unit>(amd::Unit::create(registers_, memory).value());
  }

  void enable(Qemu& qemu) override {
    qemu.write64(registers + device_table_base, registers_.device_table_base);
    qemu.write64(registers + event_base, events | std::uint64_t{events_lg2} << 56);  // from an empty log on
    qemu.write64(registers + control, enabled);
  }
  void disable(Qemu& qemu) override { qemu.write64(registers + control, 0); }
  // The first command looks at the device table entry, and may record that.
  void forget(Qemu& qemu) override {
    next_command_ = (next_command_ + 2) & low_bits(commands_lg2);
    qemu.write64(registers + command_tail, 16 * next_command_);
    qemu.ask64(registers + event_tail);
  }

  void ask_fault(Qemu& qemu) override { qemu.ask64(registers + event_tail); }
  std::optional<std::uint32_t> fault(Qemu& qemu, std::span<std::uint64_t const> answers) override {
    if (answers[0] == answers[1]) return std::nullopt;
    std::uint64_t event = 0;
    std::memcpy(&event, qemu.at(events + answers[0]), sizeof event);
    return static_cast<std::uint32_t>(bit_field(event, 63, 60));
  }

  std::optional<std::vector<std::uint32_t>> expected_faults(Comparison const& comparison) const override {
    return amd_events::expected(comparison);
  }

 private:
  amd::Registers registers_;
  std::uint64_t next_command_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Hardware>> amd_hardware() {
  std::vector<std::unique_ptr<Hardware>> all;
  all.push_back(std::make_unique<Amd>());
  return all;
}

}  // namespace swiommu::oracle
