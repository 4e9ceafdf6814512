// A guest of 64 pages behind hardware that nests, for tests of nested HWPTs: a device, its IOAS with all guest memory, a parent.
#pragma once
#include <cstring>

#include "flat_memory.h"
#include "iommufd_device_fixture.h"
#include "swiommu/uapi/iommufd_private.h"
#include "user_table.h"

namespace swiommu::iommufd {

class NestedHwptTest : public IommufdDeviceTest {
 protected:
  static constexpr std::uint64_t guest = 0x100000, iova = 0x7f000000;
  static constexpr std::uint64_t page_at(std::uint64_t n) { return guest + n * page; }
  static constexpr Range pages(std::uint64_t first, std::uint64_t count) { return {page_at(first), page_at(first + count) - 1}; }

  // Pages 1 and 2 hold data: byte 3 is 11 and 22.
  void use(std::shared_ptr<Driver> hardware, std::uint32_t parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT) {
    hardware_ = std::move(hardware);
    physical_ = new_physical({.pasid_bits = 20, .driver = hardware_});
    device_ = bind(physical_);
    space_ = new_ioas();
    ASSERT_EQ(map(space_, memory_.data(0), 64 * page, guest), 0) << words_;
    parent_ = new_hwpt(*device_, space_, parent_flags);
    memory_.data(1)[3] = std::byte{11};
    memory_.data(2)[3] = std::byte{22};
  }
  void TearDown() override {
    device_ = nullptr;
    physical_ = nullptr;
    IommufdDeviceTest::TearDown();
  }

  template <class Data>
  int alloc(std::uint32_t on, std::uint32_t type, Data const& data, std::uint32_t* id = nullptr, std::uint32_t flags = 0,
            std::uint32_t length = sizeof(Data)) {
    auto arguments = nested_of(device_->id(), on, data, flags, type);
    arguments.data_len = length;
    int const result = call(IOMMU_HWPT_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_hwpt_id;
    return result;
  }
  std::uint32_t viommu_of(std::uint32_t type) { return new_viommu(*device_, parent_, type); }
  template <class Entry>
  int invalidate(std::uint32_t id, std::uint32_t type, std::vector<Entry> const& entries, std::uint32_t* done = nullptr,
                 std::uint32_t length = sizeof(Entry)) {
    auto arguments = invalidation_of(id, entries, type);
    arguments.entry_len = length;
    int const result = call(IOMMU_HWPT_INVALIDATE, arguments);
    if (done != nullptr) *done = arguments.entry_num;
    return result;
  }

  // The guest writes.
  void write_word(std::uint64_t address, std::uint64_t word) const {
    std::memcpy(memory_.data(0) + (address - guest), &word, sizeof word);
  }
  // The byte at iova + 3; 0xff for a fault.
  static unsigned read(Port& port, std::optional<Pasid> pasid = std::nullopt, std::uint64_t from = iova) {
    unsigned char value = 0;
    return port.read(Iova(from + 3), &value, 1, pasid).ok() ? value : 0xff;
  }
  [[nodiscard]] std::unique_ptr<Port> open_port() const { return physical_->device()->open_port().value(); }

  FlatMemory memory_{64, guest};
  std::shared_ptr<Driver> hardware_;
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0, parent_ = 0;
};

}  // namespace swiommu::iommufd
