#include "nested_hwpt_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t valid = bit(0), processes = bit(5), default_process = bit(9);  // V, PDTV, DPE
constexpr std::uint64_t sv48 = std::uint64_t{9} << 60, pd8 = std::uint64_t{1} << 60, pd17 = std::uint64_t{2} << 60;
constexpr std::uint32_t virtual_device = 0x28;
constexpr FormatConfiguration format{.format = FormatName::riscv, .levels = 4};

using Context = swiommu_hwpt_riscv;
using Command = swiommu_viommu_riscv_invalidate;

constexpr Command all_tables{{1, 0}};
constexpr Command page_of_tables(std::uint64_t address) { return {{1 | bit(10), address >> 12 << 10}}; }
constexpr Command directory(std::uint64_t device) { return {{3 | bit(33) | device << 40, 0}}; }
constexpr Command process(std::uint64_t device, Pasid pasid) {
  return {{0x83 | bit(33) | device << 40 | std::uint64_t{pasid} << 12, 0}};
}

class RiscvDriverTest : public NestedHwptTest {
 protected:
  void SetUp() override {
    use(driver_of("riscv"));
    viommu_ = viommu_of(SWIOMMU_VIOMMU_TYPE_RISCV);
    ASSERT_TRUE(first_.map({iova, iova + page - 1}, page_at(1)));
    ASSERT_TRUE(second_.map({iova, iova + page - 1}, page_at(2)));
  }
  static std::uint64_t iosatp(UserTable const& table) { return sv48 | table.description().root >> 12; }
  int alloc(Context const& data, std::uint32_t* id = nullptr) {
    return NestedHwptTest::alloc(viommu_, SWIOMMU_HWPT_DATA_RISCV, data, id);
  }
  std::unique_ptr<Port> attached(Context const& data) {
    std::uint32_t hwpt = 0;
    EXPECT_EQ(alloc(data, &hwpt), 0) << words_;
    EXPECT_EQ(attach(*device_, hwpt), 0) << words_;
    return open_port();
  }
  int run(std::vector<Command> const& commands, std::uint32_t* done = nullptr) {
    return invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV, commands, done);
  }
  // The process directory of one level is page 4.
  void write_process(Pasid pasid, UserTable const& table, std::uint64_t ta = valid) {
    write_word(page_at(4) + 16 * pasid + 8, iosatp(table));
    write_word(page_at(4) + 16 * pasid, ta);
  }
  static Context with_processes(std::uint64_t tc = valid | processes) { return {tc, 0, pd8 | page_at(4) >> 12}; }

  UserTable first_{format, memory_, pages(16, 12)};
  UserTable second_{format, memory_, pages(28, 12)};
  std::uint32_t viommu_ = 0;
};

TEST_F(RiscvDriverTest, WhichContextsAGuestMayHave) {
  EXPECT_EQ(alloc({valid, 0, iosatp(first_)}), 0) << words_;
  EXPECT_EQ(alloc({valid, 0xfffff000, 0}), 0) << words_;
  EXPECT_EQ(alloc({valid | bit(8), 0, iosatp(first_)}), 0) << words_;    // SADE
  for (unsigned const other : {1u, 2u, 3u, 6u, 7u, 11u, 12u, 31u, 40u})  // EN_ATS and its like, GADE, SXL; reserved
    EXPECT_EQ(alloc({valid | bit(other), 0, 0}), EINVAL) << other;
  for (std::uint64_t const ta : {bit(0), bit(11), bit(32), bit(63)}) EXPECT_EQ(alloc({valid, ta, 0}), EINVAL);
  EXPECT_EQ(alloc({valid, 0, std::uint64_t{10} << 60}), EINVAL);  // Sv57, which the hardware lacks
  EXPECT_EQ(alloc({valid, 0, std::uint64_t{3} << 60}), EINVAL);
  EXPECT_EQ(alloc({valid | default_process, 0, 0}), EINVAL);  // without PDTV
  EXPECT_EQ(alloc({valid | bit(10), 0, 0}), EINVAL);          // big-endian, which the hardware lacks
  EXPECT_EQ(alloc({~valid, ~std::uint64_t{0}, ~std::uint64_t{0}}), 0);
}

TEST_F(RiscvDriverTest, NestedHwptsStandOnViommus) {
  Context const data{valid, 0, iosatp(first_)};
  EXPECT_EQ(NestedHwptTest::alloc(parent_, SWIOMMU_HWPT_DATA_RISCV, data), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_VTD_S1, data), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, SWIOMMU_HWPT_DATA_RISCV, data, nullptr, IOMMU_HWPT_ALLOC_PASID), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, SWIOMMU_HWPT_DATA_RISCV, data, nullptr, 0, 16), EINVAL);
}

TEST_F(RiscvDriverTest, DmaFollowsTheTableUntilItsCommand) {
  auto const port = attached({valid, 0, iosatp(first_)});
  EXPECT_EQ(read(*port), 11u);
  ASSERT_TRUE(first_.map({iova, iova + page - 1}, page_at(2)));
  EXPECT_EQ(read(*port), 11u);
  ASSERT_EQ(run({page_of_tables(iova)}), 0) << words_;
  EXPECT_EQ(read(*port), 22u);
  ASSERT_TRUE(first_.map({iova, iova + page - 1}, page_at(1)));
  ASSERT_EQ(run({all_tables}), 0);
  EXPECT_EQ(read(*port), 11u);
  EXPECT_EQ(read(*port, 1), 0xffu);  // no processes
}

TEST_F(RiscvDriverTest, WithoutATableIovasAreGuestAddressesAndWithoutAContextNothingIs) {
  EXPECT_EQ(read(*attached({valid, 0, 0}), {}, page_at(1)), 11u);
  device_->detach();
  EXPECT_EQ(read(*attached({0, 0, 0}), {}, page_at(1)), 0xffu);
}

TEST_F(RiscvDriverTest, AProcessIsThereAtOnceAndKeptUntilItsCommand) {
  auto const port = attached(with_processes());
  EXPECT_EQ(read(*port, 3), 0xffu);
  write_process(3, first_);
  EXPECT_EQ(read(*port, 3), 11u);
  write_process(3, second_);
  EXPECT_EQ(read(*port, 3), 11u);
  EXPECT_EQ(run({process(virtual_device, 3)}), EIO);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_device), 0);
  ASSERT_EQ(run({process(virtual_device, 4)}), 0) << words_;
  EXPECT_EQ(read(*port, 3), 11u);
  ASSERT_EQ(run({process(virtual_device, 3)}), 0);
  EXPECT_EQ(read(*port, 3), 22u);
  write_process(3, first_, 0);
  ASSERT_EQ(run({directory(virtual_device)}), 0);
  EXPECT_EQ(read(*port, 3), 0xffu);
}

TEST_F(RiscvDriverTest, DmaWithoutAProcessHasTheDefaultOneOrNone) {
  write_process(0, second_);
  EXPECT_EQ(read(*attached(with_processes(valid | processes | default_process))), 22u);
  device_->detach();
  auto const port = attached(with_processes());
  EXPECT_EQ(read(*port, {}, page_at(1)), 11u);
  EXPECT_EQ(read(*port, 0), 22u);
}

TEST_F(RiscvDriverTest, ProcessDirectoriesOfSeveralLevels) {
  write_word(page_at(4) + 8 * 2, page_at(5) >> 12 << 10 | 1);
  write_word(page_at(5) + 16 * 7 + 8, iosatp(second_));
  write_word(page_at(5) + 16 * 7, valid);
  auto const port = attached({valid | processes, 0, pd17 | page_at(4) >> 12});
  EXPECT_EQ(read(*port, 2 << 8 | 7), 22u);
  EXPECT_EQ(read(*port, 2 << 8 | 8), 0xffu);
  EXPECT_EQ(read(*port, 1 << 17), 0xffu);
}

TEST_F(RiscvDriverTest, CommandsThatAGuestMayNotGive) {
  std::uint32_t done = 0;
  EXPECT_EQ(run({all_tables, {{2, 0}}}, &done), EIO);  // IOFENCE
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(run({{{1 | 1 << 7, 0}}}), EIO);  // IOTINVAL.GVMA
  EXPECT_EQ(run({directory(0x99)}), EIO);
  EXPECT_EQ(run({{{3, 0}}}), 0);  // all devices
  EXPECT_EQ(run({}), EINVAL);
}

}  // namespace
}  // namespace swiommu::iommufd
