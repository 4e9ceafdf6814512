// The RISC-V IOMMU as QEMU has it: "RISC-V IOMMU Architecture Specification", chapters 2, 3, 4 and 6; the tables are those of the
// "RISC-V Instruction Set Manual, Volume II".
#include "swiommu/hardware/riscv.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include "oracle/all_hardware.h"
#include "oracle/probes.h"
#include "oracle/riscv_deviations.h"
#include "oracle/riscv_faults.h"
#include "oracle/table_builder.h"
#include "swiommu/domain/configured_domain.h"

namespace swiommu::oracle {

namespace {

// The machine "virt", 10 MiB of RAM, the IOMMU with device_id 0x08 and the device edu with 0x28.
constexpr std::uint32_t iommu_device = 1 << 3, edu_device = 5 << 3;
constexpr std::uint64_t pci_configuration = 0x30000000, edu_registers = 0x40000000, registers = 0x40100000;
constexpr std::uint64_t ram = 0x80000000, edu_buffer = ram + 0x100000, commands = ram + 0x110000, faults = ram + 0x120000;
constexpr unsigned commands_lg2 = 8, faults_lg2 = 7;

enum Register : std::uint64_t {
  capabilities = 0x00,
  fctl = 0x08,
  ddtp = 0x10,
  cqb = 0x18,
  cqt = 0x24,
  fqb = 0x28,
  fqt = 0x34,
  cqcsr = 0x48,
  fqcsr = 0x4c,
};

constexpr std::uint64_t ppn(std::uint64_t address) { return address >> 12 << 10; }  // of entries, ddtp and queues

// The bits of a leaf: V, R, W, U, A, D, and now and then others. The second stage is met five times on the way to a byte.
std::uint64_t leaf_bits(Random& random, bool second_stage) {
  std::uint64_t word = 0xd7;
  if (one_in(random, second_stage ? 24 : 6)) word ^= random() & (bit_span(4, 1) | bit_span(7, 6));
  if (one_in(random, 4)) word |= random() & (bit(5) | bit_span(9, 8));
  if (one_in(random, 32)) word |= random() & bit_span(63, 54);
  return word;
}

std::uint64_t pointer_bits(Random& random) {
  std::uint64_t word = 1;
  if (one_in(random, 4)) word |= random() & (bit(5) | bit_span(9, 8));
  if (one_in(random, 64)) word |= random() & (bit(4) | bit_span(7, 6) | bit_span(63, 54));
  return word;
}

// `widened`: the root of the second stage, which is four pages wide; its inputs are kept to what a first-stage table can name.
TableShape table(Random& random, unsigned levels, bool widened) {
  TableShape shape{.levels = levels,
                   .root_size_lg2 = widened ? 14u : 12u,
                   .leaf_levels = 7,
                   .table = [&random](std::uint64_t address, unsigned) { return ppn(address) | pointer_bits(random); },
                   .leaf = [&random, widened](std::uint64_t address, unsigned,
                                              unsigned) { return ppn(address) | leaf_bits(random, widened); }};
  if (widened) shape.root_index_bits = std::min(11u, 56 - shape.shift(levels - 1));
  return shape;
}

enum class Mode { first_stage, second_stage, both };

class Riscv final : public Hardware {
 public:
  Riscv(Mode mode, std::string_view name) : mode_(mode), name_(name) {}

  std::string_view name() const override { return name_; }
  Machine machine() const override {
    // Without translations in its cache: what it drops from there it never frees.
    std::string iommu = "riscv-iommu-pci,addr=1,ioatc-limit=0";
    if (mode_ == Mode::first_stage) iommu += ",intremap=off";  // device contexts of the base format
    return {.architecture = "riscv64",
            .arguments = {"-machine", "virt,memory-backend=ram", "-bios", "none", "-device", std::move(iommu), "-device",
                          "edu,dma_mask=0xffffffffffffffff,addr=5"},
            .ram = {ram, ram + 0x9fffff}};
  }
  // There is a PCI window from 16 GiB to 32 GiB.
  Layout layout() const override {
    return {.window = {ram + 0x200000, ram + 0x9fffff},
            .nowhere = {{ram + 0xa00000, 0x3'ffff'ffff}, {0x8'0000'0000, ~std::uint64_t{0}}},
            .edu = {edu_registers, edu_buffer}};
  }
  std::uint32_t device() const override { return edu_device; }
  std::span<Deviation const> deviations() const override { return riscv_deviations; }

  void start(Qemu& qemu) override {
    qemu.write32(pci_configuration + (edu_device << 12) + 0x10, edu_registers);
    qemu.write32(pci_configuration + (edu_device << 12) + 0x04, 6);
    qemu.write32(pci_configuration + (iommu_device << 12) + 0x10, registers);
    qemu.write32(pci_configuration + (iommu_device << 12) + 0x04, 6);
    qemu.ask64(registers + capabilities);
    qemu.ask32(registers + fctl);
    // A queue full of IODIR.INVAL_DDT for all devices, so that forget() has to move one index only.
    for (std::uint64_t n = 0; n < bit(commands_lg2); n++) {
      constexpr std::uint64_t command[2] = {3, 0};
      std::memcpy(qemu.at(commands + 16 * n), command, sizeof command);
    }
    qemu.write64(registers + cqb, ppn(commands) | (commands_lg2 - 1));
    qemu.write32(registers + cqcsr, 1);
    qemu.write64(registers + fqb, ppn(faults) | (faults_lg2 - 1));
    next_command_ = 0;
    auto const answers = qemu.run();
    registers_.capabilities = answers[0];
    registers_.fctl = static_cast<std::uint32_t>(answers[1]);
    disable(qemu);
    qemu.run();
  }

  std::vector<Probe> make(Random& random, GuestMemory& memory) override {
    std::vector<std::uint64_t> directory, context, entries, inputs;
    std::uint64_t const dc = make_directory(random, memory, directory);
    std::optional<TableBuilder> under;
    std::array<std::uint64_t, 4> words{1, 0, below(random, bit(20)) << 12, 0};  // tc, iohgatp, ta, fsc
    if (mode_ != Mode::first_stage) {
      auto const levels = static_cast<unsigned>(3 + below(random, 3));
      under.emplace(random, memory, table(random, levels, true), at_its_address);
      words[1] = std::uint64_t{levels + 5} << 60 | below(random, 65536) << 44 | under->root() >> 12;
    }
    AddressOf const address_of = [&](std::uint64_t block, unsigned size_lg2) {
      return under ? under->map(block, size_lg2) : block;
    };
    if (mode_ == Mode::second_stage) {
      for (std::uint64_t n = 2 + below(random, 10); n > 0; n--) inputs.push_back(under->map(memory.any_page(random)));
    } else {
      auto const levels = static_cast<unsigned>(3 + below(random, 3));
      TableBuilder first(random, memory, table(random, levels, false), address_of);
      words[3] = std::uint64_t{levels + 5} << 60 | first.root() >> 12;
      if (one_in(random, 4)) make_process(random, memory, words, address_of, context);
      for (std::uint64_t n = 2 + below(random, 10); n > 0; n--) {
        std::uint64_t const input = first.map(memory.any_page(random));
        bool const upper = (input >> (first.shape().input_bits() - 1) & 1) != 0;
        inputs.push_back(upper ? input | ~low_bits(first.shape().input_bits()) : input);
      }
      entries = first.entries();
    }
    if (one_in(random, 16)) words[0] |= bit(4);  // DTF
    for (unsigned n = 0; n < words.size(); n++) {
      memory.set(dc + 8 * n, words[n]);
      context.push_back(dc + 8 * n);
    }
    if (under) entries.insert(entries.end(), under->entries().begin(), under->entries().end());
    if (one_in(random, 2))
      for (std::uint64_t n = 1 + below(random, 3); n > 0; n--) spoil(random, memory, entries, 2);
    if (one_in(random, 4)) spoil(random, memory, context, 12);
    memory.set(dc, memory.get(dc) & ~bit(11));  // SXL: Sv32 is not modelled
    if (!directory.empty() && one_in(random, 8)) spoil(random, memory, directory, 2);
    return make_probes(random, inputs);
  }

  std::unique_ptr<ContextSource> unit(MemoryView const& memory) const override {
    return std::make_unique<riscv::Unit>(riscv::Unit::create(registers_, memory, open_parent).value());
  }

  void enable(Qemu& qemu) override {
    qemu.write32(registers + fqcsr, 1);  // from an empty queue on
    recorded_ = 0;
    qemu.write64(registers + ddtp, registers_.ddtp);
  }
  void disable(Qemu& qemu) override {
    qemu.write64(registers + ddtp, 1);  // Bare
    qemu.write32(registers + fqcsr, 0);
  }
  void forget(Qemu& qemu) override {
    next_command_ = (next_command_ + 1) & static_cast<std::uint32_t>(low_bits(commands_lg2));
    qemu.write32(registers + cqt, next_command_);
  }

  void ask_fault(Qemu& qemu) override { qemu.ask32(registers + fqt); }
  std::optional<std::uint32_t> fault(Qemu& qemu, std::span<std::uint64_t const> answers) override {
    auto const produced = static_cast<std::uint32_t>(answers[0]);
    if (produced == recorded_) return std::nullopt;
    std::uint64_t record = 0;
    std::memcpy(&record, qemu.at(faults + 32 * std::exchange(recorded_, produced)), sizeof record);
    return static_cast<std::uint32_t>(bit_field(record, 11, 0));
  }

  std::optional<std::vector<std::uint32_t>> expected_faults(Comparison const& comparison) const override {
    return riscv_faults::expected(comparison);
  }

 private:
  // A device directory of 1 to 3 levels. Returns where the device context is.
  std::uint64_t make_directory(Random& random, GuestMemory& memory, std::vector<std::uint64_t>& structures) {
    bool const extended = mode_ != Mode::first_stage;
    auto const levels = static_cast<unsigned>(1 + below(random, 3));
    std::uint64_t page = memory.allocate(random);
    registers_.ddtp = ppn(page) | (levels + 1);
    for (unsigned level = levels - 1; level > 0; level--) {  // its number is so small that the first entry leads to it
      std::uint64_t const next = memory.allocate(random);
      memory.set(page, ppn(next) | 1);
      structures.push_back(page);
      page = next;
    }
    return page + (extended ? 64 : 32) * edu_device;
  }

  // A process directory of one level, and the default process in it, which gets the first stage.
  static void make_process(Random& random, GuestMemory& memory, std::array<std::uint64_t, 4>& words, AddressOf const& address_of,
                           std::vector<std::uint64_t>& structures) {
    std::uint64_t const page = memory.allocate(random);
    memory.set(page, 1 | below(random, bit(20)) << 12);
    memory.set(page + 8, words[3]);
    structures.insert(structures.end(), {page, page + 8});
    words[0] |= bit(5) | (one_in(random, 8) ? 0 : bit(9));  // PDTV, DPE
    words[2] = 0;
    words[3] = std::uint64_t{1} << 60 | address_of(page, 12) >> 12;  // PD8
  }

  Mode const mode_;
  std::string_view const name_;
  riscv::Registers registers_;
  std::uint32_t next_command_ = 0;
  std::uint32_t recorded_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Hardware>> riscv_hardware() {
  std::vector<std::unique_ptr<Hardware>> all;
  all.push_back(std::make_unique<Riscv>(Mode::first_stage, "RISC-V, first stage"));
  all.push_back(std::make_unique<Riscv>(Mode::second_stage, "RISC-V, second stage"));
  all.push_back(std::make_unique<Riscv>(Mode::both, "RISC-V, both stages"));
  return all;
}

}  // namespace swiommu::oracle
