#include "nested_hwpt_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t valid = bit(0), guest_io = bit(54), guest_valid = bit(55);
constexpr std::uint16_t domain_id = 7;
constexpr std::uint32_t virtual_device = 0x28;
constexpr FormatConfiguration guest_format{.format = FormatName::x86_64, .levels = 4};

using Dte = iommu_hwpt_amd_guest;
using Command = swiommu_viommu_amd_invalidate;

// The GCR3 table at page 4, of `levels` levels.
Dte entry(std::uint64_t table, std::uint64_t word0 = valid | guest_valid | guest_io, std::uint64_t levels = 1) {
  return {{word0 | (levels - 1) << 56 | bit_field(table, 14, 12) << 58,
           domain_id | bit_field(table, 30, 15) << 16 | bit_field(table, 51, 31) << 43, 0, 0}};
}

Command pages_command(Pasid pasid, std::uint16_t domain = domain_id, std::uint64_t word = 0x7ffffffffffff000 | 7) {
  return {{std::uint64_t{3} << 60 | std::uint64_t{domain} << 32 | pasid, word}};
}
Command device_command(std::uint64_t opcode, std::uint32_t device) { return {{opcode << 60 | device, 0}}; }

class AmdDriverTest : public NestedHwptTest {
 protected:
  void SetUp() override {
    use(driver_of("amd"));
    viommu_ = viommu_of(SWIOMMU_VIOMMU_TYPE_AMD);
    ASSERT_TRUE(first_.map({iova, iova + page - 1}, page_at(1)));
    ASSERT_TRUE(second_.map({iova, iova + page - 1}, page_at(2)));
  }
  int alloc(Dte const& data, std::uint32_t* id = nullptr) {
    return NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_AMD_GUEST, data, id);
  }
  std::unique_ptr<Port> attached(Dte const& data) {
    std::uint32_t hwpt = 0;
    EXPECT_EQ(alloc(data, &hwpt), 0) << words_;
    EXPECT_EQ(attach(*device_, hwpt), 0) << words_;
    return open_port();
  }
  int run(std::vector<Command> const& commands, std::uint32_t* done = nullptr) {
    return invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, commands, done);
  }
  void write_gcr3(std::uint64_t n, UserTable const& table) { write_word(page_at(4) + 8 * n, table.description().root | 1); }

  UserTable first_{guest_format, memory_, pages(16, 12)};
  UserTable second_{guest_format, memory_, pages(28, 12)};
  std::uint32_t viommu_ = 0;
};

TEST_F(AmdDriverTest, WhichEntriesAGuestMayHave) {
  EXPECT_EQ(alloc(entry(page_at(4))), 0) << words_;
  EXPECT_EQ(alloc(Dte{}), 0);
  Dte data = entry(page_at(4));
  data.dte[0] |= std::uint64_t{4} << 9;  // Mode
  EXPECT_EQ(alloc(data), EINVAL);
  data = entry(page_at(4));
  data.dte[0] |= page_at(4);  // Host Page Table Root Pointer
  EXPECT_EQ(alloc(data), EINVAL);
  EXPECT_EQ(alloc(entry(0)), EINVAL);
  EXPECT_EQ(alloc(entry(0, guest_valid)), 0);  // not valid
  EXPECT_EQ(alloc(entry(0, valid)), 0);        // no guest translation
  data = entry(page_at(4));
  data.dte[2] = std::uint64_t{2} << 54;  // GuestPagingMode
  EXPECT_EQ(alloc(data), EINVAL);
  data.dte[2] = std::uint64_t{1} << 54;
  EXPECT_EQ(alloc(data), EOPNOTSUPP);  // 5 levels, and GATS says 4
  EXPECT_EQ(alloc(entry(page_at(4), valid | guest_valid, 4)), EINVAL);
  EXPECT_EQ(alloc(entry(page_at(4), valid | guest_valid, 3)), 0);
}

TEST_F(AmdDriverTest, NestedHwptsStandOnViommusAndTakeTheirDataWhole) {
  Dte const data = entry(page_at(4));
  EXPECT_EQ(NestedHwptTest::alloc(parent_, IOMMU_HWPT_DATA_AMD_GUEST, data), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_VTD_S1, data), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_AMD_GUEST, data, nullptr, IOMMU_HWPT_ALLOC_PASID), EOPNOTSUPP);
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_AMD_GUEST, data, nullptr, 0, 24), EINVAL);
  std::array<Dte, 2> const longer{data, {}};
  EXPECT_EQ(NestedHwptTest::alloc(viommu_, IOMMU_HWPT_DATA_AMD_GUEST, longer), EINVAL);
  std::uint32_t hwpt = 0;
  ASSERT_EQ(alloc(data, &hwpt), 0);
  EXPECT_EQ(attach(*device_, hwpt, nullptr, 1), EINVAL);  // PASIDs are the guest's
}

TEST_F(AmdDriverTest, DmaFollowsTheGcr3TableAndTheGuestTables) {
  write_gcr3(0, first_);
  write_gcr3(5, second_);
  auto const port = attached(entry(page_at(4)));
  EXPECT_EQ(read(*port), 11u);  // GIOV = 1: as PASID 0
  EXPECT_EQ(read(*port, 0), 11u);
  EXPECT_EQ(read(*port, 5), 22u);
  EXPECT_EQ(read(*port, 6), 0xffu);
  EXPECT_EQ(read(*port, 512), 0xffu);  // beyond a table of one level
}

TEST_F(AmdDriverTest, WithoutGuestTranslationIovasAreGuestAddresses) {
  for (Dte const& data :
       {entry(page_at(4), valid | guest_valid), entry(page_at(4), valid), entry(page_at(4), guest_valid), Dte{}}) {
    auto const port = attached(data);
    EXPECT_EQ(read(*port, {}, page_at(1)), 11u);
    EXPECT_EQ(read(*port, {}, iova), 0xffu);
    EXPECT_EQ(read(*port, 1, page_at(1)), 0xffu);
    device_->detach();
  }
}

TEST_F(AmdDriverTest, Gcr3TablesOfSeveralLevels) {
  write_word(page_at(4) + 8 * 3, page_at(5) | 1);
  write_word(page_at(5) + 8 * 7, second_.description().root | 1);
  auto const port = attached(entry(page_at(4), valid | guest_valid | guest_io, 2));
  EXPECT_EQ(read(*port, 3 << 9 | 7), 22u);
  EXPECT_EQ(read(*port, 3 << 9 | 8), 0xffu);
}

TEST_F(AmdDriverTest, AGcr3EntryIsUsedAtOnceAndKeptUntilItsCommand) {
  auto const port = attached(entry(page_at(4)));
  EXPECT_EQ(read(*port, 5), 0xffu);
  write_gcr3(5, first_);
  EXPECT_EQ(read(*port, 5), 11u);
  write_gcr3(5, second_);
  EXPECT_EQ(read(*port, 5), 11u);
  ASSERT_EQ(run({pages_command(5, domain_id + 1), pages_command(6)}), 0) << words_;
  EXPECT_EQ(read(*port, 5), 11u);  // another domain, another PASID
  ASSERT_EQ(run({pages_command(5)}), 0);
  EXPECT_EQ(read(*port, 5), 22u);
  write_gcr3(5, first_);
  ASSERT_EQ(vdevice(viommu_, device_->id(), virtual_device), 0);
  ASSERT_EQ(run({device_command(2, virtual_device)}), 0) << words_;
  EXPECT_EQ(read(*port, 5), 11u);
  write_gcr3(5, second_);
  ASSERT_EQ(run({{{std::uint64_t{8} << 60, 0}}}), 0) << words_;
  EXPECT_EQ(read(*port, 5), 22u);
}

TEST_F(AmdDriverTest, AGuestTableIsKeptUntilItsCommand) {
  write_gcr3(0, first_);
  auto const port = attached(entry(page_at(4)));
  EXPECT_EQ(read(*port), 11u);
  ASSERT_TRUE(first_.map({iova, iova + page - 1}, page_at(2)));
  EXPECT_EQ(read(*port), 11u);
  ASSERT_EQ(run({pages_command(0, domain_id, iova | 4)}), 0);
  EXPECT_EQ(read(*port), 22u);
}

TEST_F(AmdDriverTest, CommandsThatAGuestMayNotGive) {
  std::uint32_t done = 0;
  EXPECT_EQ(run({pages_command(0), {{std::uint64_t{1} << 60, 0}}}, &done), EIO);  // COMPLETION_WAIT
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(run({pages_command(0), pages_command(1), device_command(4, virtual_device)}, &done), EIO);  // no vDEVICE
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(run({}, &done), EINVAL);
  EXPECT_EQ(invalidate<Command>(viommu_, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, {pages_command(0)}), EINVAL);
  std::vector<std::array<std::uint64_t, 3>> longer{{std::uint64_t{8} << 60, 0, 0}};
  EXPECT_EQ(invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, longer), 0);
  longer[0][2] = 1;
  EXPECT_EQ(invalidate(viommu_, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, longer, &done), E2BIG);
  EXPECT_EQ(done, 0u);
}

}  // namespace
}  // namespace swiommu::iommufd
