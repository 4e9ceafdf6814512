// Arm SMMUv3: a stream table entry with a table of four context descriptors, commands as the guest's queue holds them (IHI 0070,
// 4 and 5.4).
#pragma once
#include "guests/hardware_guest.h"

namespace swiommu::guests {

class Smmuv3Guest final : public HardwareGuest {
 public:
  Smmuv3Guest(Machine& machine, Random& random) : machine_(machine), random_(random) {
    viommu_ = machine.make_viommu(IOMMU_VIOMMU_TYPE_ARM_SMMUV3, stream);
    // V, Config = stage 1, S1CDMax = 2; S1DSS: DMA without a substream goes by descriptor 0
    iommu_hwpt_arm_smmuv3 const entry{{1 | 5 << 1 | descriptors | std::uint64_t{2} << 59, 2}};
    std::uint32_t none = 0;
    machine.move_to(machine.make_nested(viommu_, IOMMU_HWPT_DATA_ARM_SMMUV3, entry), none);
  }

  [[nodiscard]] std::vector<std::optional<Pasid>> contexts() const override { return {std::nullopt, 1, 3}; }
  [[nodiscard]] FormatCase format(unsigned) const override {
    return {"", {.format = FormatName::arm_stage1, .granule_lg2 = 12, .input_bits = 48}};
  }

  // A descriptor is not replaced while it is valid: two words of it change.
  Steps steps_to(unsigned context, UserPageTable const& table) override {
    std::uint64_t const at = descriptors + 64 * substream(context);
    GuestMemory const& memory = machine_.memory();
    auto const sync = [this, context] { run({{0x05 | substream(context) << 12 | stream << 32, 1}}); };  // CFGI_CD, leaf
    return {
        [&memory, at] { memory.word(at) &= ~valid; },
        sync,
        [&memory, at, root = table.root] {
          memory.word(at + 8) = root;
          memory.word(at + 24) = 0xff44ff0404ff4404;  // MAIR
        },
        sync,
        // T0SZ, V, A, R, AA64, EPD1, IPS of 48 bits
        [&memory, at, asid = asid(context)] {
          memory.word(at) = 16 | bit(30) | valid | std::uint64_t{5} << 32 | bit(41) | bit(45) | bit(46) | asid << 48;
        },
        [this, sync, context] {
          sync();
          run({{0x11 | asid(context) << 48, 0}});  // TLBI_NH_ASID
        },
    };
  }
  void invalidate(unsigned context, Range iovas) override {
    std::uint64_t const pages = iovas.length() >> 12;
    if (iovas == Range::all() || nesting::one_in(random_, 5)) return run({{0x11 | asid(context) << 48, 0}});
    if (nesting::one_in(random_, 6)) return run({{0x10, 0}});  // TLBI_NH_ALL
    std::vector<Command> commands;
    if (pages <= 8 && nesting::one_in(random_, 2)) {
      for (std::uint64_t n = 0; n < pages; n++) commands.push_back({0x12 | asid(context) << 48, iovas.start + (n << 12)});
      return run(commands);
    }
    // (NUM + 1) << SCALE pages of 4 KiB, from the top bits of the count down
    std::uint64_t at = iovas.start, rest = pages;
    while (rest != 0) {
      unsigned const top = log2_floor(rest), scale = top > 4 ? top - 4 : 0;
      std::uint64_t const number = rest >> scale;
      commands.push_back({0x12 | (number - 1) << 12 | std::uint64_t{scale} << 20 | asid(context) << 48, at | 1 << 10});
      at += number << scale << 12;
      rest -= number << scale;
    }
    run(commands);
  }

 private:
  static constexpr std::uint64_t descriptors = GuestMemory::structures.start, valid = bit(31), stream = 0x33;
  using Command = std::array<std::uint64_t, 2>;

  [[nodiscard]] std::uint64_t substream(unsigned context) const { return contexts().at(context).value_or(0); }
  [[nodiscard]] static std::uint64_t asid(unsigned context) { return 0x100 + context; }
  void run(std::vector<Command> const& commands) const {
    machine_.invalidate(viommu_, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, commands);
  }

  Machine& machine_;
  Random& random_;
  std::uint32_t viommu_ = 0;
};

}  // namespace swiommu::guests
