// The RISC-V IOMMU: a device context with a process directory of one level; DMA without a process goes by process 0 (DPE).
// Commands as the guest's command queue holds them (IOMMU specification, 4.1).
#pragma once
#include "guests/hardware_guest.h"

namespace swiommu::guests {

class RiscvGuest final : public HardwareGuest {
 public:
  RiscvGuest(Machine& machine, Random& random) : machine_(machine), random_(random) {
    viommu_ = machine.make_viommu(SWIOMMU_VIOMMU_TYPE_RISCV, device);
    swiommu_hwpt_riscv const context{.tc = bit(0) | bit(5) | bit(9), .ta = 0, .fsc = std::uint64_t{1} << 60 | directory >> 12};
    std::uint32_t none = 0;
    machine.move_to(machine.make_nested(viommu_, SWIOMMU_HWPT_DATA_RISCV, context), none);
  }

  [[nodiscard]] std::vector<std::optional<Pasid>> contexts() const override { return {std::nullopt, 1, 200}; }
  [[nodiscard]] FormatCase format(unsigned) const override { return {"", {.format = FormatName::riscv, .levels = 4}}; }

  Steps steps_to(unsigned context, UserPageTable const& table) override {
    std::uint64_t const at = directory + 16 * process(context);
    GuestMemory const& memory = machine_.memory();
    auto const sync = [this, context] { run({{0x83 | bit(33) | device << 40 | process(context) << 12, 0}}); };  // IODIR.INVAL_PDT
    return {
        [&memory, at] { memory.word(at) = 0; },
        sync,
        [&memory, at, root = table.root] { memory.word(at + 8) = std::uint64_t{9} << 60 | root >> 12; },
        [&memory, at, tag = tag(context)] { memory.word(at) = 1 | tag << 12; },
        [this, context] { invalidate(context, Range::all()); },
    };
  }
  void invalidate(unsigned context, Range iovas) override {
    std::uint64_t const of_context = 0x001 | bit(32) | tag(context) << 12;  // IOTINVAL.VMA, PSCV
    std::uint64_t const pages = iovas.length() >> 12;
    if (iovas == Range::all() || pages > 64 || nesting::one_in(random_, 4))
      return run({{nesting::one_in(random_, 3) ? std::uint64_t{0x001} : of_context, 0}});
    std::vector<Command> commands;
    for (std::uint64_t n = 0; n < pages; n++)
      commands.push_back({of_context | bit(10), ((iovas.start >> 12) + n) << 10 & low_bits(62)});
    run(commands);
  }

 private:
  static constexpr std::uint64_t directory = GuestMemory::structures.start + 0x5000, device = 0x28;
  using Command = std::array<std::uint64_t, 2>;

  [[nodiscard]] std::uint64_t process(unsigned context) const { return contexts().at(context).value_or(0); }
  [[nodiscard]] static std::uint64_t tag(unsigned context) { return 5 + context; }  // PSCID
  void run(std::vector<Command> const& commands) const {
    machine_.invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV, commands);
  }

  Machine& machine_;
  Random& random_;
  std::uint32_t viommu_ = 0;
};

}  // namespace swiommu::guests
