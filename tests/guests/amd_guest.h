// AMD-Vi: a device table entry with a GCR3 table of one level; DMA without a PASID goes by entry 0 (GIOV). Commands as the
// guest's command buffer holds them (48882, 2.4).
#pragma once
#include "guests/hardware_guest.h"

namespace swiommu::guests {

class AmdGuest final : public HardwareGuest {
 public:
  AmdGuest(Machine& machine, Random& random) : machine_(machine), random_(random) {
    viommu_ = machine.make_viommu(SWIOMMU_VIOMMU_TYPE_AMD, device);
    // V, GIOV, GV; GLX = 0
    iommu_hwpt_amd_guest const entry{{bit(0) | bit(54) | bit(55) | bit_field(directory, 14, 12) << 58,
                                      domain | bit_field(directory, 30, 15) << 16 | bit_field(directory, 51, 31) << 43, 0, 0}};
    std::uint32_t none = 0;
    machine.move_to(machine.make_nested(viommu_, IOMMU_HWPT_DATA_AMD_GUEST, entry), none);
  }

  [[nodiscard]] std::vector<std::optional<Pasid>> contexts() const override { return {std::nullopt, 1, 200}; }
  [[nodiscard]] FormatCase format(unsigned context) const override {
    return {"", {.format = FormatName::x86_64, .levels = 4, .zero_extended = context == 0}};
  }

  // One word: it may also change from one table to another at once.
  Steps steps_to(unsigned context, UserPageTable const& table) override {
    std::uint64_t& entry = machine_.memory().word(directory + 8 * pasid(context));
    auto const sync = [this, context] { run({{pages | pasid(context), everything}}); };
    Steps steps;
    if (nesting::one_in(random_, 2)) {
      steps.emplace_back([&entry] { entry = 0; });
      steps.emplace_back(sync);
    }
    steps.emplace_back([&entry, root = table.root] { entry = root | 1; });
    steps.emplace_back(sync);
    return steps;
  }
  void invalidate(unsigned context, Range iovas) override {
    if (iovas == Range::all() || nesting::one_in(random_, 4)) return run({{pages | pasid(context), everything}});
    if (nesting::one_in(random_, 6)) return run({{std::uint64_t{2} << 60 | device, 0}});  // INVALIDATE_DEVTAB_ENTRY
    // the smallest block around it: the lowest bit that is 0 tells its size
    unsigned lg2 = 12;
    while (Range::block(iovas.start, lg2).last < iovas.last) lg2++;
    std::uint64_t const block = Range::block(iovas.start, lg2).start;
    run({{pages | pasid(context), lg2 == 12 ? block | guest : block | (low_bits(lg2 - 1) & ~low_bits(12)) | guest | 1}});
  }

 private:
  static constexpr std::uint64_t directory = GuestMemory::structures.start + 0x9000, device = 0x28, domain = 7;
  static constexpr std::uint64_t pages = std::uint64_t{3} << 60 | domain << 32;  // INVALIDATE_IOMMU_PAGES
  static constexpr std::uint64_t guest = bit(2), everything = 0x7ffffffffffff000 | guest | 1;
  using Command = std::array<std::uint64_t, 2>;

  [[nodiscard]] std::uint64_t pasid(unsigned context) const { return contexts().at(context).value_or(0); }
  void run(std::vector<Command> const& commands) const {
    machine_.invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, commands);
  }

  Machine& machine_;
  Random& random_;
  std::uint32_t viommu_ = 0;
};

}  // namespace swiommu::guests
