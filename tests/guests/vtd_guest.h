// VT-d in scalable mode: each PASID entry that the guest writes names a first-stage table, and the VMM makes a nested HWPT of it.
#pragma once
#include <array>

#include "guests/hardware_guest.h"

namespace swiommu::guests {

class VtdGuest final : public HardwareGuest {
 public:
  VtdGuest(Machine& machine, Random& random) : machine_(machine), random_(random) {}

  [[nodiscard]] std::vector<std::optional<Pasid>> contexts() const override { return {std::nullopt, 1, 77}; }
  [[nodiscard]] FormatCase format(unsigned) const override { return {"", {.format = FormatName::x86_64, .levels = 4}}; }

  Steps steps_to(unsigned context, UserPageTable const& table) override {
    iommu_hwpt_vtd_s1 data{};
    data.pgtbl_addr = table.root;
    data.addr_width = 48;
    return {[this, context, data] {
      std::uint32_t const hwpt = machine_.make_nested(machine_.parent(), IOMMU_HWPT_DATA_VTD_S1, data, IOMMU_HWPT_ALLOC_PASID);
      machine_.move_to(hwpt, hwpts_.at(context), contexts().at(context));
    }};
  }
  void invalidate(unsigned context, Range iovas) override {
    using Entry = iommu_hwpt_vtd_s1_invalidate;
    std::vector<Entry> entries;
    if (iovas == Range::all() || nesting::one_in(random_, 4)) {
      entries.push_back({0, ~std::uint64_t{0}, 0, 0});
    } else {
      // queued one after the other, as a guest's queue holds them
      std::uint64_t const half = align_down(iovas.start + iovas.length() / 2, 12);
      if (half > iovas.start && nesting::one_in(random_, 2)) {
        entries.push_back(pages({iovas.start, half - 1}));
        iovas.start = half;
      }
      entries.push_back(pages(iovas));
    }
    machine_.invalidate(hwpts_.at(context), IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, entries);
  }

 private:
  static iommu_hwpt_vtd_s1_invalidate pages(Range iovas) { return {iovas.start, iovas.length() >> 12, 0, 0}; }

  Machine& machine_;
  Random& random_;
  std::array<std::uint32_t, 3> hwpts_{};
};

}  // namespace swiommu::guests
