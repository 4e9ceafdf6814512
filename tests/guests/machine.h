// A virtual machine whose VMM knows /dev/iommu: guest memory mapped 1:1 in an IOAS, a nesting parent over it, one device.
#pragma once
#include <cstring>

#include "iommufd_device_fixture.h"
#include "nesting/guest.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::guests {

using nesting::FormatCase;
using nesting::Random;

// Guest memory as the guest's own processor sees it. Only the parts below are memory: an output anywhere else leads nowhere.
class GuestMemory final : public MemoryView {
 public:
  static constexpr Range structures{0x100000, 0x1fffff};  // directories and contexts
  static constexpr Range tables = nesting::Guest::tables;
  static constexpr Range data = nesting::Guest::data;
  static constexpr std::uint64_t length = data.last + 1;

  explicit GuestMemory(std::byte* bytes) : bytes_(bytes) {
    // each word of the lower half of a page says where it is; the upper half is for DMA to write to
    for (std::uint64_t page = data.start; page < length; page += nesting::unit_size)
      for (std::uint64_t offset = 0; offset < nesting::unit_size / 2; offset += 8) word(page + offset) = page + offset;
  }
  Chunk locate(std::uint64_t address, Access) const override {
    if (address >= length) return {};
    return {bytes_ + address, length - address};
  }
  [[nodiscard]] std::uint64_t& word(std::uint64_t address) const { return *reinterpret_cast<std::uint64_t*>(bytes_ + address); }
  [[nodiscard]] std::byte* at(std::uint64_t address) const { return bytes_ + address; }

 private:
  std::byte* bytes_;
};

class Machine : public iommufd::IommufdDeviceTest {
 public:
  // All by ioctls, from here on: what HardwareGuests use.
  std::uint32_t make_viommu(std::uint32_t type, std::uint64_t virtual_id) {
    std::uint32_t const viommu = new_viommu(*device_, parent_, type);
    EXPECT_EQ(vdevice(viommu, device_->id(), virtual_id), 0) << words_;
    return viommu;
  }
  template <class Data>
  std::uint32_t make_nested(std::uint32_t on, std::uint32_t type, Data const& data, std::uint32_t flags = 0) {
    auto arguments = nested_of(device_->id(), on, data, flags, type);
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    return arguments.out_hwpt_id;
  }
  template <class Entry>
  void invalidate(std::uint32_t id, std::uint32_t type, std::vector<Entry> const& entries) {
    auto arguments = invalidation_of(id, entries, type);
    EXPECT_EQ(call(IOMMU_HWPT_INVALIDATE, arguments), 0) << words_;
    EXPECT_EQ(arguments.entry_num, entries.size());
  }
  // From what the device, or its PASID, is attached to, or from nothing; what it was attached to is destroyed.
  void move_to(std::uint32_t hwpt, std::uint32_t& old, std::optional<Pasid> pasid = std::nullopt) {
    EXPECT_EQ(old == 0 ? attach(*device_, hwpt, nullptr, pasid) : replace(*device_, hwpt, nullptr, pasid), 0) << words_;
    if (old != 0) {
      EXPECT_EQ(destroy(old), 0) << words_;
    }
    old = hwpt;
  }

  [[nodiscard]] GuestMemory const& memory() const { return *guest_; }
  [[nodiscard]] std::uint32_t parent() const { return parent_; }
  [[nodiscard]] iommufd::PhysicalDevice& physical() const { return *physical_; }

 protected:
  void start(std::string const& profile) {
    physical_ = new_physical({.pasid_bits = 8, .driver = iommufd::driver_of(profile)});
    device_ = bind(physical_);
    guest_.emplace(IommufdDeviceTest::memory(GuestMemory::length));
    std::uint32_t const space = new_ioas();
    for (Range const range : {GuestMemory::structures, GuestMemory::tables, GuestMemory::data})
      ASSERT_EQ(map(space, guest_->at(range.start), range.length(), range.start), 0) << words_;
    parent_ = new_hwpt(*device_, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  }
  void TearDown() override {
    device_ = nullptr;
    physical_ = nullptr;
    IommufdDeviceTest::TearDown();
  }

  std::optional<GuestMemory> guest_;
  std::shared_ptr<iommufd::PhysicalDevice> physical_;
  std::unique_ptr<iommufd::BoundDevice> device_;
  std::uint32_t parent_ = 0;
};

}  // namespace swiommu::guests
