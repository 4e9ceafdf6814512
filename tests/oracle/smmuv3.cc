// The Arm SMMUv3 as QEMU has it. Arm IHI 0070, chapters 3.3, 4, 5, 6 and 7; the tables are those of the Arm ARM, VMSAv8-64.
#include "swiommu/hardware/smmuv3.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "oracle/all_hardware.h"
#include "oracle/probes.h"
#include "oracle/smmuv3_deviations.h"
#include "oracle/table_builder.h"
#include "swiommu/domain/configured_domain.h"

namespace swiommu::oracle {

namespace {

// The machine "virt", 10 MiB of RAM, the device edu with StreamID 0x28.
constexpr std::uint32_t edu_device = 5 << 3;
constexpr std::uint64_t registers = 0x09050000, pci_configuration = 0x3f000000, edu_registers = 0x10000000;
constexpr std::uint64_t ram = 0x40000000, edu_buffer = ram + 0x100000, commands = ram + 0x110000, events = ram + 0x120000;
constexpr unsigned commands_lg2 = 8, events_lg2 = 10;

enum Register : std::uint64_t {
  idr0 = 0x0,
  idr1 = 0x4,
  idr3 = 0xc,
  idr5 = 0x14,
  cr0 = 0x20,
  strtab_base = 0x80,
  strtab_base_cfg = 0x88,
  cmdq_base = 0x90,
  cmdq_prod = 0x98,
  eventq_base = 0xa0,
  eventq_prod = 0x100a8,
  eventq_cons = 0x100ac,
};

enum class Mode { stage1, stage2, both };

// One table of VMSAv8-64.
struct Arm {
  unsigned granule_lg2, input_bits;
  TableShape shape;
};

// `roots_lg2`: how many roots may stand side by side.
Arm any_table(Random& random, unsigned most_bits, unsigned roots_lg2, std::function<std::uint64_t(unsigned)> leaf_bits,
              std::function<std::uint64_t()> table_bits) {
  constexpr unsigned granules[] = {12, 12, 14, 16};
  Arm table;
  unsigned const granule = table.granule_lg2 = granules[below(random, 4)];
  unsigned const index_bits = granule - 3;
  unsigned const bits = table.input_bits = static_cast<unsigned>(25 + below(random, most_bits - 24));
  unsigned levels = (bits - granule + index_bits - 1) / index_bits;
  if (roots_lg2 != 0 && levels > 1) {
    unsigned const rest = bits - granule - (levels - 1) * index_bits;  // index bits of the root
    if (rest <= roots_lg2 && (one_in(random, 2) || levels == 4)) levels--;
  }
  unsigned const root_bits = bits - granule - (levels - 1) * index_bits;
  table.shape = {.granule_lg2 = granule,
                 .levels = levels,
                 .index_bits = index_bits,
                 .root_index_bits = root_bits,
                 .root_size_lg2 = std::max(12u, root_bits + 3),
                 .leaf_levels = granule == 12 ? 7u : 3u,
                 .table = [table_bits](std::uint64_t address, unsigned) { return address | 3 | table_bits(); },
                 .leaf = [leaf_bits](std::uint64_t address, unsigned level,
                                     unsigned) { return address | (level == 0 ? 3 : 1) | leaf_bits(level); }};
  return table;
}

Arm stage1_table(Random& random) {
  return any_table(
      random, 48, 0,
      [&random](unsigned) {
        std::uint64_t word = bit(10) | bit(6);                                 // AF, unprivileged accesses allowed
        if (one_in(random, 6)) word ^= random() & (bit(10) | bit_span(7, 6));  // AF, AP
        if (one_in(random, 4)) word |= random() & (bit_span(5, 2) | bit_span(9, 8) | bit(11) | bit_span(58, 53));
        return word;
      },
      [&random] {
        std::uint64_t word = one_in(random, 16) ? random() & bit_span(62, 61) : 0;  // APTable
        if (one_in(random, 4)) word |= random() & (bit_span(11, 2) | bit_span(58, 52));
        return word;
      });
}

Arm stage2_table(Random& random, unsigned most_bits, bool concatenated) {
  return any_table(
      random, most_bits, concatenated ? 4 : 0,
      [&random](unsigned) {
        std::uint64_t word = bit(10) | bit_span(7, 6) | 0xf << 2;  // AF, S2AP, normal memory
        if (one_in(random, 24)) word ^= random() & (bit(10) | bit_span(7, 6));
        if (one_in(random, 4)) word |= random() & (bit_span(9, 8) | bit_span(58, 55));
        return word;
      },
      [&random]() -> std::uint64_t { return one_in(random, 4) ? random() & (bit_span(11, 2) | bit_span(58, 52)) : 0; });
}

unsigned tg0(unsigned granule_lg2) { return granule_lg2 == 12 ? 0 : granule_lg2 == 16 ? 1 : 2; }
unsigned tg1(unsigned granule_lg2) { return granule_lg2 == 12 ? 2 : granule_lg2 == 16 ? 3 : 1; }

class SmmuV3 final : public Hardware {
 public:
  SmmuV3(Mode mode, std::string_view name) : mode_(mode), name_(name) {}

  std::string_view name() const override { return name_; }
  Machine machine() const override {
    return {.architecture = "aarch64",
            .arguments = {"-machine", "virt,iommu=smmuv3,highmem=off,memory-backend=ram", "-global", "arm-smmuv3.stage=nested",
                          "-device", "edu,dma_mask=0xffffffffffffffff,addr=5"},
            .ram = {ram, ram + 0x9fffff}};
  }
  Layout layout() const override {
    return {.window = {ram + 0x200000, ram + 0x9fffff},
            .nowhere = {{ram + 0xa00000, ~std::uint64_t{0}}},
            .edu = {edu_registers, edu_buffer}};
  }
  std::uint32_t device() const override { return edu_device; }
  std::span<Deviation const> deviations() const override { return smmuv3_deviations; }

  void start(Qemu& qemu) override {
    qemu.write32(pci_configuration + (edu_device << 12) + 0x10, edu_registers);
    qemu.write32(pci_configuration + (edu_device << 12) + 0x04, 6);
    for (std::uint64_t const id : {idr0, idr1, idr3, idr5}) qemu.ask32(registers + id);
    // A queue that holds CFGI_ALL and TLBI_NSNH_ALL in turn, so that forget() has to move one index only.
    for (std::uint64_t n = 0; n < bit(commands_lg2); n++) {
      std::uint64_t const command[2] = {n % 2 == 0 ? 0x04u : 0x30u, n % 2 == 0 ? 31u : 0u};
      std::memcpy(qemu.at(commands + 16 * n), command, sizeof command);
    }
    qemu.write64(registers + cmdq_base, commands | commands_lg2);
    qemu.write64(registers + eventq_base, events | events_lg2);
    next_command_ = 0;
    auto const answers = qemu.run();
    registers_.cr0 = 1;
    registers_.idr0 = static_cast<std::uint32_t>(answers[0]);
    registers_.idr1 = static_cast<std::uint32_t>(answers[1]);
    registers_.idr3 = static_cast<std::uint32_t>(answers[2]);
    registers_.idr5 = static_cast<std::uint32_t>(answers[3]);
  }

  std::vector<Probe> make(Random& random, GuestMemory& memory) override {
    std::vector<std::uint64_t> structures, entries, inputs;
    std::uint64_t const ste = make_stream_table(random, memory, structures);
    std::optional<Arm> lower_level;  // stage 2
    std::optional<TableBuilder> under;
    if (mode_ != Mode::stage1) {
      lower_level = stage2_table(random, 44, mode_ == Mode::stage2 || one_in(random, 16));
      under.emplace(random, memory, lower_level->shape, at_its_address);
    }
    std::array<std::uint64_t, 4> words{1 | (mode_ == Mode::stage1   ? 5u
                                            : mode_ == Mode::stage2 ? 6u
                                                                    : 7u)
                                               << 1,
                                       1 | bit(44), 0, 0};
    if (under) {
      unsigned const levels = lower_level->shape.levels, granule = lower_level->granule_lg2;
      std::uint64_t const start = granule == 12 ? levels - 2 : levels - 1;  // S2SL0
      words[2] = below(random, 65536) | std::uint64_t{64 - lower_level->input_bits} << 32 | start << 38 |
                 std::uint64_t{tg0(granule)} << 46 | std::uint64_t{4} << 48 | bit(51) | bit(58);  // S2PS, S2AA64, S2R
      if (one_in(random, 8)) words[2] |= bit(53);                                                 // S2AFFD
      words[3] = under->root();
    }
    auto const address_of = [&](std::uint64_t block, unsigned size_lg2) { return under ? under->map(block, size_lg2) : block; };
    if (mode_ == Mode::stage2) {
      for (std::uint64_t n = 2 + below(random, 10); n > 0; n--) inputs.push_back(under->map(memory.any_page(random)));
    } else {
      std::uint64_t const cd = memory.allocate(random);
      words[0] |= address_of(cd, 12);
      for (unsigned word = 0; word < 3; word++) structures.push_back(cd + 8 * word);
      make_context(random, memory, cd, address_of, entries, inputs);
    }
    for (unsigned word = 0; word < words.size(); word++) memory.set(ste + 8 * word, words[word]);
    if (under) entries.insert(entries.end(), under->entries().begin(), under->entries().end());
    if (one_in(random, 2))
      for (std::uint64_t n = 1 + below(random, 3); n > 0; n--) spoil(random, memory, entries);
    if (one_in(random, 4)) spoil(random, memory, structures);
    // QEMU may find a CD where the manual has none, so IPS = 7, which ends it, is kept out of memory.
    for (std::uint64_t const at : structures)
      if (bit_field(memory.get(at), 34, 32) == 7) memory.set(at, memory.get(at) & ~bit(32));
    return make_probes(random, inputs);
  }

  std::unique_ptr<ContextSource> unit(MemoryView const& memory) const override {
    return std::make_unique<smmuv3::Unit>(smmuv3::Unit::create(registers_, memory, open_parent).value());
  }

  // S2AA64 = 0 and IPS = 7 meet assertions of QEMU's.
  bool breaks_qemu(Comparison const& comparison) const override {
    std::uint64_t const ste = comparison.word_of("STE");
    if (bit_field(comparison.word_of("CD"), 34, 32) == 7) return true;
    return (ste & 1) != 0 && bit_field(ste, 3, 1) >= 6 && (comparison.word_of("STE", 2) & bit(51)) == 0;
  }

  void enable(Qemu& qemu) override {
    qemu.write64(registers + strtab_base, registers_.strtab_base);
    qemu.write32(registers + strtab_base_cfg, registers_.strtab_base_cfg);
    qemu.write32(registers + eventq_prod, 0);
    qemu.write32(registers + eventq_cons, 0);
    qemu.write32(registers + cr0, 0xd);  // CMDQEN, EVENTQEN, SMMUEN
    recorded_ = 0;
  }
  void disable(Qemu& qemu) override { qemu.write32(registers + cr0, 0x8); }
  void forget(Qemu& qemu) override {
    next_command_ = (next_command_ + 2) & static_cast<std::uint32_t>(low_bits(commands_lg2 + 1));
    qemu.write32(registers + cmdq_prod, next_command_);
  }

  void ask_fault(Qemu& qemu) override { qemu.ask32(registers + eventq_prod); }
  std::optional<std::uint32_t> fault(Qemu& qemu, std::span<std::uint64_t const> answers) override {
    auto const produced = static_cast<std::uint32_t>(answers[0]);
    if (produced == recorded_) return std::nullopt;
    std::uint32_t const index = std::exchange(recorded_, produced) & static_cast<std::uint32_t>(low_bits(events_lg2));
    return static_cast<std::uint32_t>(*qemu.at(events + 32 * index));
  }

  std::optional<std::vector<std::uint32_t>> expected_faults(Comparison const& comparison) const override {
    return smmuv3_events::expected(comparison);
  }

 private:
  // Linear, or with two levels, and now and then too small. Returns where the STE is.
  std::uint64_t make_stream_table(Random& random, GuestMemory& memory, std::vector<std::uint64_t>& structures) {
    std::uint64_t ste = 0;
    unsigned const stream_bits = one_in(random, 32) ? 5 : static_cast<unsigned>(6 + below(random, 3));
    if (mode_ == Mode::stage2) {  // QEMU never goes back from two levels to one
      std::uint64_t const table = memory.allocate(random, 14);
      registers_.strtab_base = table;
      registers_.strtab_base_cfg = stream_bits;
      ste = table + 64 * device();
    } else {
      std::uint64_t const table = memory.allocate(random), second = memory.allocate(random);
      constexpr unsigned split = 6;
      std::uint64_t const span = one_in(random, 32) ? below(random, 32) : split + 1;
      memory.set(table, second | span);
      registers_.strtab_base = table;
      registers_.strtab_base_cfg = stream_bits | split << 6 | 1 << 16;
      ste = second + 64 * device();
      structures.push_back(table);
    }
    for (unsigned word = 0; word < 4; word++) structures.push_back(ste + 8 * word);
    return ste;
  }

  static void make_context(Random& random, GuestMemory& memory, std::uint64_t cd, AddressOf const& address_of,
                           std::vector<std::uint64_t>& entries, std::vector<std::uint64_t>& inputs) {
    std::uint64_t word =
        bit(31) | bit(41) | bit(45) | bit(46) | std::uint64_t{4} << 32 | below(random, 65536) << 48;  // V, AA64, R, A, IPS
    if (one_in(random, 8)) word |= bit(35);                                                           // AFFD
    unsigned const halves = static_cast<unsigned>(1 + below(random, 3));                              // bit 0 lower, bit 1 upper
    for (unsigned const upper : {0u, 1u}) {
      if ((halves & 1u << upper) == 0) {
        word |= std::uint64_t{25} << (upper ? 16 : 0) | (upper ? bit(30) : bit(14)) |
                std::uint64_t{upper ? 2u : 0u} << (upper ? 22 : 6);
        continue;
      }
      Arm const table = stage1_table(random);
      TableBuilder builder(random, memory, table.shape, address_of);
      word |= std::uint64_t{64 - table.input_bits} << (upper ? 16 : 0);
      word |= std::uint64_t{upper ? tg1(table.granule_lg2) : tg0(table.granule_lg2)} << (upper ? 22 : 6);
      bool const top_byte_ignored = one_in(random, 8);
      if (top_byte_ignored) word |= upper ? bit(39) : bit(38);
      memory.set(cd + (upper ? 16 : 8), builder.root() | (one_in(random, 8) ? 2 : 0));  // HAD
      for (std::uint64_t n = 1 + below(random, 6); n > 0; n--) {
        std::uint64_t input = builder.map(memory.any_page(random));
        if (upper) input |= ~low_bits(table.input_bits);
        if (top_byte_ignored && one_in(random, 2)) input ^= random() & bit_span(63, 56) & ~bit(63);
        inputs.push_back(input);
      }
      entries.insert(entries.end(), builder.entries().begin(), builder.entries().end());
    }
    memory.set(cd, word);
  }

  Mode const mode_;
  std::string_view const name_;
  smmuv3::Registers registers_;
  std::uint32_t next_command_ = 0;
  std::uint32_t recorded_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Hardware>> smmuv3_hardware() {
  std::vector<std::unique_ptr<Hardware>> all;
  all.push_back(std::make_unique<SmmuV3>(Mode::stage1, "SMMUv3, stage 1"));
  all.push_back(std::make_unique<SmmuV3>(Mode::stage2, "SMMUv3, stage 2"));
  all.push_back(std::make_unique<SmmuV3>(Mode::both, "SMMUv3, both stages"));
  return all;
}

}  // namespace swiommu::oracle
