// s390: an anchor for the function (MPCIFC), and RPCIT, which real guests also give after making an entry valid.
#pragma once
#include "guests/hardware_guest.h"

namespace swiommu::guests {

class ZpciGuest final : public HardwareGuest {
 public:
  ZpciGuest(Machine& machine, Random& random) : machine_(machine), random_(random) {}

  [[nodiscard]] FormatCase format(unsigned) const override { return {"", {.format = FormatName::s390_zpci, .levels = 3}, true}; }
  [[nodiscard]] bool remembers_faults() const override { return true; }

  Steps steps_to(unsigned, UserPageTable const& table) override {
    swiommu_hwpt_zpci const anchor{.iota = table.root | 0x800 | 1 << 2, .pba = 0, .pal = ~std::uint64_t{0}};
    return {[this, anchor] { machine_.move_to(machine_.make_nested(machine_.parent(), SWIOMMU_HWPT_DATA_ZPCI, anchor), hwpt_); }};
  }
  void invalidate(unsigned, Range iovas) override {
    swiommu_hwpt_zpci_invalidate entry{iovas.start, iovas.length()};
    if (iovas == Range::all() || nesting::one_in(random_, 6)) entry = {0, ~std::uint64_t{0}};
    machine_.invalidate(hwpt_, SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, std::vector{entry});
  }

 private:
  Machine& machine_;
  Random& random_;
  std::uint32_t hwpt_ = 0;
};

}  // namespace swiommu::guests
