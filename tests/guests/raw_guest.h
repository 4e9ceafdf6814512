// Any format, by its root: two-dimensional, or composed into one table.
#pragma once
#include "guests/hardware_guest.h"

namespace swiommu::guests {

class RawGuest final : public HardwareGuest {
 public:
  RawGuest(Machine& machine, FormatCase format, bool shadow) : machine_(machine), format_(std::move(format)), shadow_(shadow) {}

  [[nodiscard]] FormatCase format(unsigned) const override { return format_; }
  [[nodiscard]] bool remembers_faults() const override { return shadow_; }

  Steps steps_to(unsigned, UserPageTable const& table) override {
    swiommu_hwpt_raw data{};
    data.format = static_cast<std::uint32_t>(format_.format.format);
    data.root = table.root;
    data.levels = static_cast<std::uint8_t>(format_.format.levels);
    data.granule_lg2 = static_cast<std::uint8_t>(format_.format.granule_lg2);
    data.input_bits = static_cast<std::uint8_t>(format_.format.input_bits);
    if (shadow_) data.flags |= SWIOMMU_RAW_SHADOW;
    if (format_.big_endian) data.flags |= SWIOMMU_RAW_BIG_ENDIAN;
    if (format_.format.zero_extended) data.flags |= SWIOMMU_RAW_ZERO_EXTENDED;
    if (format_.format.accessed_updates) data.flags |= SWIOMMU_RAW_ACCESSED;
    if (format_.format.dirty_updates) data.flags |= SWIOMMU_RAW_DIRTY;
    return {[this, data] { machine_.move_to(machine_.make_nested(machine_.parent(), SWIOMMU_HWPT_DATA_RAW, data), hwpt_); }};
  }
  void invalidate(unsigned, Range iovas) override {
    swiommu_hwpt_raw_invalidate const entry{iovas.start, iovas.last};
    machine_.invalidate(hwpt_, SWIOMMU_HWPT_INVALIDATE_DATA_RAW, std::vector{entry});
  }

 private:
  Machine& machine_;
  FormatCase format_;
  bool shadow_;
  std::uint32_t hwpt_ = 0;
};

}  // namespace swiommu::guests
