#include "flat_memory.h"
#include "iommufd_device_fixture.h"
#include "user_table.h"

namespace swiommu::iommufd {
namespace {

constexpr unsigned nested = 26, pasids = 40, scalable = 43, dirty = 45, second_stage = 46, first_stage = 47;

constexpr std::uint64_t cap(unsigned guest_width, unsigned address_widths) {
  return std::uint64_t{guest_width - 1} << 16 | std::uint64_t{address_widths} << 8;
}
constexpr std::uint64_t ecap(std::initializer_list<unsigned> bits) {
  std::uint64_t value = 0;
  for (unsigned const n : bits) value |= bit(n);
  return value;
}
RegisterValues registers_of(std::uint64_t capability, std::uint64_t extended) {
  return {{"cap", capability}, {"ecap", extended}};
}
constexpr std::uint64_t modern_cap = cap(48, 0b0100) | bit(56);
constexpr std::uint64_t modern_ecap = ecap({nested, pasids, scalable, dirty, second_stage, first_stage});
RegisterValues modern() { return registers_of(modern_cap, modern_ecap); }

class VtdDriverTest : public IommufdDeviceTest {
 protected:
  void use(RegisterValues const& registers) {
    hardware_ = driver_of("intel-vtd", registers);
    physical_ = new_physical({.capabilities = {.dirty_tracking = true}, .driver = hardware_});
    device_ = bind(physical_);
    space_ = new_ioas();
  }
  void TearDown() override {
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  int alloc(std::uint32_t flags) {
    auto arguments = hwpt_of(device_->id(), space_, flags);
    return call(IOMMU_HWPT_ALLOC, arguments);
  }
  FormatConfiguration format(std::uint32_t flags) {
    return hardware_->plan_paging(*physical_, flags, std::nullopt, nullptr).value().format;
  }
  Range aperture(std::uint32_t flags) {
    return hardware_->plan_paging(*physical_, flags, std::nullopt, nullptr).value().limits.aperture;
  }
  iommu_hwpt_alloc vtd_nested(std::uint32_t parent, iommu_hwpt_vtd_s1 const& data, std::uint32_t flags = 0) {
    auto arguments = hwpt_of(device_->id(), parent, flags);
    arguments.data_type = IOMMU_HWPT_DATA_VTD_S1;
    arguments.data_len = sizeof data;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(&data);
    return arguments;
  }

  std::shared_ptr<Driver> hardware_;
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0;
};

constexpr std::uint32_t parent_flag = IOMMU_HWPT_ALLOC_NEST_PARENT, dirty_flag = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
                        pasid_flag = IOMMU_HWPT_ALLOC_PASID;

TEST_F(VtdDriverTest, ModernHardwarePrefersFirstStageTables) {
  use(modern());
  EXPECT_EQ(format(0).format, FormatName::x86_64);
  EXPECT_EQ(aperture(0), (Range{0, low_bits(47)}));
  EXPECT_EQ(format(pasid_flag).format, FormatName::x86_64);
  EXPECT_EQ(format(parent_flag).format, FormatName::vtd_second_stage);
  EXPECT_EQ(aperture(parent_flag), (Range{0, low_bits(48)}));
  EXPECT_FALSE(format(parent_flag).dirty_updates);
  EXPECT_TRUE(format(dirty_flag).dirty_updates);
  for (std::uint32_t const flags : {dirty_flag | parent_flag, dirty_flag | pasid_flag, parent_flag | pasid_flag})
    EXPECT_EQ(alloc(flags), 0) << words_;
}

TEST_F(VtdDriverTest, LegacyHardwareHasSecondStageTablesOnly) {
  use(registers_of(cap(39, 0b0010), 0));
  EXPECT_EQ(format(0).format, FormatName::vtd_second_stage);
  EXPECT_EQ(format(0).levels, 3u);
  EXPECT_EQ(aperture(0), (Range{0, low_bits(39)}));
  EXPECT_EQ(alloc(parent_flag), EOPNOTSUPP);
  EXPECT_EQ(alloc(dirty_flag), EOPNOTSUPP);
  std::uint32_t const hwpt = new_hwpt(*device_, space_, pasid_flag);
  EXPECT_EQ(attach(*device_, hwpt, nullptr, 1), EOPNOTSUPP);
  EXPECT_EQ(attach(*device_, hwpt), 0);
}

TEST_F(VtdDriverTest, WidthsThatDoNotMatchTakeATallerTable) {
  use(registers_of(cap(39, 0b0100), 0));
  EXPECT_EQ(format(0).levels, 4u);
  EXPECT_EQ(aperture(0), (Range{0, low_bits(39)}));
  EXPECT_EQ(alloc(0), 0) << words_;
}

TEST_F(VtdDriverTest, PagingHwptsTakeNoData) {
  use(modern());
  iommu_hwpt_vtd_s1 const data{};
  auto arguments = vtd_nested(space_, data);
  EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), EOPNOTSUPP);
}

TEST_F(VtdDriverTest, TellsItsRegisters) {
  use(modern());
  iommu_hw_info_vtd info{};
  iommu_hw_info arguments{};
  arguments.size = sizeof arguments;
  arguments.dev_id = device_->id();
  arguments.data_len = sizeof info;
  arguments.data_uptr = std::bit_cast<std::uint64_t>(&info);
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, arguments), 0);
  EXPECT_EQ(arguments.out_data_type, std::uint32_t{IOMMU_HW_INFO_TYPE_INTEL_VTD});
  EXPECT_EQ(arguments.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING, std::uint64_t{IOMMU_HW_CAP_DIRTY_TRACKING});
  EXPECT_EQ(info.cap_reg, modern_cap);
  EXPECT_EQ(info.ecap_reg, modern_ecap);
  arguments.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
  arguments.in_data_type = IOMMU_HW_INFO_TYPE_AMD;
  EXPECT_EQ(call(IOMMU_GET_HW_INFO, arguments), EOPNOTSUPP);
}

TEST_F(VtdDriverTest, DevicesReserveTheInterruptRange) {
  use(modern());
  ASSERT_EQ(attach(*device_, space_), 0);
  EXPECT_EQ(ioas(space_)->space().iova_ranges().value(),
            (std::vector<Range>{{0, x86_interrupt_range.start - 1}, {x86_interrupt_range.last + 1, low_bits(47)}}));
}

TEST_F(VtdDriverTest, NestedHwptsAreCheckedWhenTheyAreAttached) {
  use(modern());
  std::uint32_t const parent = new_hwpt(*device_, space_, parent_flag);
  auto const attach_of = [&](iommu_hwpt_vtd_s1 const& data) {
    auto arguments = vtd_nested(parent, data);
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;  // whatever they say
    int const result = attach(*device_, arguments.out_hwpt_id);
    device_->detach();
    return result;
  };
  EXPECT_EQ(attach_of({.flags = 0, .pgtbl_addr = 0x1000, .addr_width = 48, .__reserved = 0}), 0);
  EXPECT_EQ(attach_of({.flags = 0, .pgtbl_addr = 0x1000, .addr_width = 57, .__reserved = 0}), EINVAL);
  EXPECT_EQ(attach_of({.flags = 0, .pgtbl_addr = 0x1000, .addr_width = 39, .__reserved = 0}), EINVAL);
  EXPECT_EQ(attach_of({.flags = IOMMU_VTD_S1_SRE, .pgtbl_addr = 0x1000, .addr_width = 48, .__reserved = 0}), EINVAL);
  EXPECT_EQ(attach_of({.flags = IOMMU_VTD_S1_EAFE, .pgtbl_addr = 0x1000, .addr_width = 48, .__reserved = 0}), EINVAL);
  EXPECT_EQ(attach_of({.flags = IOMMU_VTD_S1_WPE, .pgtbl_addr = ~std::uint64_t{0}, .addr_width = 48, .__reserved = 9}), 0);
}

TEST_F(VtdDriverTest, ParentsMapNothingThatCannotBeWritten) {
  use(modern());
  std::byte* const data = memory(2 * page);
  auto const map_at = [&](std::uint64_t iova, std::uint32_t flags) {
    auto arguments = map_of(space_, data, page, iova, fixed | flags);
    return call(IOMMU_IOAS_MAP, arguments);
  };
  std::uint32_t const parent = new_hwpt(*device_, space_, parent_flag);
  EXPECT_EQ(map_at(0, IOMMU_IOAS_MAP_READABLE), EINVAL);
  EXPECT_NE(words_.find("0x0-0xfff is to be mapped without write permission"), std::string::npos) << words_;
  EXPECT_EQ(map_at(0, read_write), 0) << words_;
  ASSERT_EQ(destroy(parent), 0);

  ASSERT_EQ(map_at(page, IOMMU_IOAS_MAP_READABLE), 0) << words_;
  EXPECT_EQ(alloc(parent_flag), EINVAL);
  EXPECT_NE(words_.find("0x1000-0x1fff is to be mapped without write permission"), std::string::npos) << words_;
  EXPECT_EQ(alloc(dirty_flag), 0) << words_;
  EXPECT_EQ(attach(*device_, space_), 0) << words_;
}

TEST_F(VtdDriverTest, DataOfNestedHwpts) {
  use(modern());
  std::uint32_t const parent = new_hwpt(*device_, space_, parent_flag);
  iommu_hwpt_vtd_s1 const data{.flags = 0, .pgtbl_addr = 0, .addr_width = 48, .__reserved = 0};
  auto const with = [&](std::uint32_t type, std::uint32_t length, std::uint32_t flags) {
    auto arguments = vtd_nested(parent, data, flags);
    arguments.data_type = type;
    arguments.data_len = length;
    return call(IOMMU_HWPT_ALLOC, arguments);
  };
  EXPECT_EQ(with(IOMMU_HWPT_DATA_ARM_SMMUV3, sizeof data, 0), EOPNOTSUPP);
  EXPECT_EQ(with(IOMMU_HWPT_DATA_VTD_S1, sizeof data - 1, 0), EINVAL);
  EXPECT_EQ(with(IOMMU_HWPT_DATA_VTD_S1, sizeof data, dirty_flag), EOPNOTSUPP);
  EXPECT_EQ(with(IOMMU_HWPT_DATA_VTD_S1, sizeof data, pasid_flag), 0);
}

TEST_F(VtdDriverTest, ThereAreNoViommus) {
  use(modern());
  iommu_viommu_alloc arguments{};
  arguments.size = sizeof arguments;
  arguments.type = IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
  arguments.dev_id = device_->id();
  arguments.hwpt_id = new_hwpt(*device_, space_, parent_flag);
  EXPECT_EQ(call(IOMMU_VIOMMU_ALLOC, arguments), EOPNOTSUPP);
}

TEST_F(VtdDriverTest, DmaGoesThroughTheUsersTableUntilItIsInvalidated) {
  use(modern());
  constexpr std::uint64_t guest = 0x100000, iova = 0x7f0000000000;
  FlatMemory memory(64, guest);
  ASSERT_EQ(map(space_, memory.data(0), 64 * page, guest), 0);
  UserTable table({.format = FormatName::x86_64, .levels = 4}, memory, {guest + 32 * page, guest + 64 * page - 1});
  ASSERT_TRUE(table.map({iova, iova + page - 1}, guest + page));
  memory.data(1)[3] = std::byte{11};
  memory.data(2)[3] = std::byte{22};
  std::uint32_t const parent = new_hwpt(*device_, space_, parent_flag);
  iommu_hwpt_vtd_s1 const data{.flags = 0, .pgtbl_addr = table.description().root, .addr_width = 48, .__reserved = 0};
  auto arguments = vtd_nested(parent, data);
  ASSERT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
  ASSERT_EQ(attach(*device_, arguments.out_hwpt_id), 0);
  auto const port = physical_->device()->open_port().value();
  auto const read = [&] {
    std::byte value{};
    EXPECT_TRUE(port->read(Iova(iova + 3), &value, 1).ok());
    return value;
  };
  EXPECT_EQ(read(), std::byte{11});
  ASSERT_TRUE(table.map({iova, iova + page - 1}, guest + 2 * page));
  EXPECT_EQ(read(), std::byte{11});  // cached
  iommu_hwpt_vtd_s1_invalidate const entry{.addr = iova, .npages = 1, .flags = IOMMU_VTD_INV_FLAGS_LEAF, .__reserved = 0};
  iommu_hwpt_invalidate invalidation{};
  invalidation.size = sizeof invalidation;
  invalidation.hwpt_id = arguments.out_hwpt_id;
  invalidation.data_uptr = std::bit_cast<std::uint64_t>(&entry);
  invalidation.data_type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1;
  invalidation.entry_len = sizeof entry;
  invalidation.entry_num = 1;
  ASSERT_EQ(call(IOMMU_HWPT_INVALIDATE, invalidation), 0) << words_;
  EXPECT_EQ(read(), std::byte{22});
}

TEST_F(VtdDriverTest, InvalidationsThatAreWrong) {
  use(modern());
  std::uint32_t const parent = new_hwpt(*device_, space_, parent_flag);
  iommu_hwpt_vtd_s1 const data{.flags = 0, .pgtbl_addr = 0, .addr_width = 48, .__reserved = 0};
  auto arguments = vtd_nested(parent, data);
  ASSERT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
  constexpr std::uint64_t all = ~std::uint64_t{0};
  auto const outcome = [&](iommu_hwpt_vtd_s1_invalidate const& entry, std::uint32_t length = sizeof(entry),
                           std::uint32_t type = IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
    std::array<iommu_hwpt_vtd_s1_invalidate, 2> entries{{{.addr = 0, .npages = all, .flags = 0, .__reserved = 0}, entry}};
    iommu_hwpt_invalidate invalidation{};
    invalidation.size = sizeof invalidation;
    invalidation.hwpt_id = arguments.out_hwpt_id;
    invalidation.data_uptr = std::bit_cast<std::uint64_t>(entries.data());
    invalidation.data_type = type;
    invalidation.entry_len = length;
    invalidation.entry_num = 2;
    int const result = call(IOMMU_HWPT_INVALIDATE, invalidation);
    return std::pair<int, std::uint32_t>(result, invalidation.entry_num);
  };
  using Outcome = std::pair<int, std::uint32_t>;
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = 3, .flags = 0, .__reserved = 0}), Outcome(0, 2));
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = 0, .flags = 0, .__reserved = 0}), Outcome(0, 2));
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = all - 1, .flags = 0, .__reserved = 0}), Outcome(0, 2));
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = 1, .flags = 2, .__reserved = 0}), Outcome(EOPNOTSUPP, 1));
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = 1, .flags = 0, .__reserved = 1}), Outcome(EOPNOTSUPP, 1));
  EXPECT_EQ(outcome({.addr = 0x1001, .npages = 1, .flags = 0, .__reserved = 0}), Outcome(EINVAL, 1));
  EXPECT_EQ(outcome({.addr = 0x1000, .npages = all, .flags = 0, .__reserved = 0}), Outcome(EINVAL, 1));
  EXPECT_EQ(outcome({}, sizeof(iommu_hwpt_vtd_s1_invalidate) + 8), Outcome(EINVAL, 0));
  EXPECT_EQ(outcome({}, sizeof(iommu_hwpt_vtd_s1_invalidate), 1), Outcome(EINVAL, 0));
}

}  // namespace
}  // namespace swiommu::iommufd
