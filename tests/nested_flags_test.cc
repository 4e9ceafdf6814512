// Accessed and dirty flags that DMA through nested HWPTs writes: into the user page table, and into the parent's.
#include <atomic>
#include <thread>

#include "nested_hwpt_fixture.h"

namespace swiommu::iommufd {
namespace {

// One hardware with tables that keep flags: how its guest asks for them.
struct Keeper {
  std::string name;
  std::string profile;
  FormatConfiguration format;
  std::uint64_t ignored = 0;  // a bit of a leaf that is the guest's own
  std::uint32_t parent_flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
};

std::string name_of(testing::TestParamInfo<Keeper> const& info) { return info.param.name; }

constexpr std::uint32_t dirty_parent = IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
constexpr FormatConfiguration x86{.format = FormatName::x86_64, .levels = 4, .accessed_updates = true, .dirty_updates = true};
constexpr FormatConfiguration arm{.format = FormatName::arm_stage1,
                                  .levels = 4,
                                  .granule_lg2 = 12,
                                  .input_bits = 48,
                                  .output_bits = 48,
                                  .accessed_updates = true,
                                  .dirty_updates = true};
constexpr FormatConfiguration riscv{.format = FormatName::riscv, .levels = 4, .accessed_updates = true, .dirty_updates = true};
constexpr FormatConfiguration vtd_under{
    .format = FormatName::vtd_second_stage, .levels = 4, .accessed_updates = true, .dirty_updates = true};
constexpr FormatConfiguration amd_under{
    .format = FormatName::amd_v1, .levels = 4, .accessed_updates = true, .dirty_updates = true};
constexpr FormatConfiguration arm_under{.format = FormatName::arm_stage2,
                                        .levels = 4,
                                        .granule_lg2 = 12,
                                        .input_bits = 48,
                                        .output_bits = 48,
                                        .accessed_updates = true,
                                        .dirty_updates = true};

class NestedFlags : public NestedHwptTest, public testing::WithParamInterface<Keeper> {
 protected:
  void SetUp() override {
    use(driver_of(GetParam().profile), GetParam().parent_flags);
    // As a guest without flags of its own writes entries: accessed and dirty are clear.
    ASSERT_TRUE(table_.map({iova, iova + page - 1}, page_at(1)));
    ASSERT_TRUE(table_.map({iova + page, iova + 2 * page - 1}, page_at(2)));
    clear_flags();
    ASSERT_EQ(attach(*device_, alloc_nested()), 0) << words_;
    port_ = open_port();
  }
  void TearDown() override {
    port_ = nullptr;
    NestedHwptTest::TearDown();
  }

  std::uint32_t alloc_nested() {
    std::uint32_t hwpt = 0;
    std::uint64_t const root = table_.description().root;
    if (GetParam().name == "vtd") {
      iommu_hwpt_vtd_s1 const data{.flags = 0, .pgtbl_addr = root, .addr_width = 48, .__reserved = 0};
      EXPECT_EQ(alloc(parent_, IOMMU_HWPT_DATA_VTD_S1, data, &hwpt), 0) << words_;
    } else if (GetParam().name == "amd") {
      write_word(page_at(4), root | 1);
      iommu_hwpt_amd_guest const data{
          {bit(0) | bit(54) | bit(55) | bit_field(page_at(4), 14, 12) << 58, bit_field(page_at(4), 30, 15) << 16, 0, 0}};
      EXPECT_EQ(alloc(viommu_of(SWIOMMU_VIOMMU_TYPE_AMD), IOMMU_HWPT_DATA_AMD_GUEST, data, &hwpt), 0) << words_;
    } else if (GetParam().name == "smmuv3") {
      // V, AA64, A, R, HA, HD, EPD1, IPS of 48 bits, one table of 48 bits
      std::uint64_t const words[8]{
          16 | bit(30) | bit(31) | std::uint64_t{5} << 32 | bit(41) | bit(42) | bit(43) | bit(45) | bit(46), root, 0,
          0xff44ff0404ff4404};
      std::memcpy(memory_.data(4), words, sizeof words);
      iommu_hwpt_arm_smmuv3 const data{{1 | 5 << 1 | page_at(4), 0}};
      std::uint32_t const viommu = viommu_of(IOMMU_VIOMMU_TYPE_ARM_SMMUV3);
      EXPECT_EQ(vdevice(viommu, device_->id(), 1), 0) << words_;
      EXPECT_EQ(alloc(viommu, IOMMU_HWPT_DATA_ARM_SMMUV3, data, &hwpt), 0) << words_;
    } else if (GetParam().name == "riscv") {
      swiommu_hwpt_riscv const data{.tc = bit(0) | bit(8), .ta = 0, .fsc = std::uint64_t{9} << 60 | root >> 12};
      EXPECT_EQ(alloc(viommu_of(SWIOMMU_VIOMMU_TYPE_RISCV), SWIOMMU_HWPT_DATA_RISCV, data, &hwpt), 0) << words_;
    } else {
      swiommu_hwpt_raw data{};
      data.format = GetParam().format.format == FormatName::vtd_second_stage ? SWIOMMU_FORMAT_VTD_SECOND_STAGE
                    : GetParam().format.format == FormatName::amd_v1         ? SWIOMMU_FORMAT_AMD_V1
                                                                             : SWIOMMU_FORMAT_ARM_STAGE2;
      data.flags = SWIOMMU_RAW_ACCESSED | SWIOMMU_RAW_DIRTY;
      data.root = root;
      data.levels = static_cast<std::uint8_t>(GetParam().format.levels);
      data.granule_lg2 = static_cast<std::uint8_t>(GetParam().format.granule_lg2);
      data.input_bits = static_cast<std::uint8_t>(GetParam().format.input_bits);
      data.output_bits = static_cast<std::uint8_t>(GetParam().format.output_bits);
      EXPECT_EQ(alloc(parent_, SWIOMMU_HWPT_DATA_RAW, data, &hwpt), 0) << words_;
    }
    return hwpt;
  }
  // What the guest reads in its own table: the pages whose flag is set, by number from iova on.
  std::vector<std::uint64_t> marked(Flag flag) {
    std::vector<std::uint64_t> found;
    auto const report = [&](Range range) {
      for (std::uint64_t n = (range.start - iova) / page; n <= (range.last - iova) / page; n++) found.push_back(n);
    };
    EXPECT_TRUE(table_.table().read_flags(flag, {iova, iova + 2 * page - 1}, Clear::no, report));
    return found;
  }
  void clear_flags() {
    for (Flag const flag : {Flag::accessed, Flag::dirty})
      EXPECT_TRUE(table_.table().read_flags(flag, {iova, iova + 2 * page - 1}, Clear::yes, [](Range) {}));
  }
  // The guest's invalidation of everything.
  void invalidate_all() { EXPECT_TRUE(physical_->device()->domain()->invalidate(Range::all())); }
  // The word of the leaf of page `n`.
  std::atomic_ref<std::uint64_t> leaf(std::uint64_t n) {
    std::vector<WalkStep> steps;
    EXPECT_TRUE(table_.table().explain(iova + n * page, Access::reading(), steps));
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(memory_.data(0) + (steps.back().entry_address - guest)));
  }

  UserTable table_{GetParam().format, memory_, pages(16, 16)};
  std::unique_ptr<Port> port_;
};

using Pages = std::vector<std::uint64_t>;

TEST_P(NestedFlags, ReadingMarksAccessedAndWritingMarksDirty) {
  EXPECT_EQ(marked(Flag::accessed), Pages{});
  EXPECT_EQ(marked(Flag::dirty), Pages{});
  EXPECT_EQ(read(*port_), 11u);
  EXPECT_EQ(marked(Flag::accessed), Pages{0});
  EXPECT_EQ(marked(Flag::dirty), Pages{});
  std::byte const byte{1};
  ASSERT_TRUE(port_->write(Iova(iova + page), &byte, 1).ok());
  EXPECT_EQ(marked(Flag::accessed), (Pages{0, 1}));
  EXPECT_EQ(marked(Flag::dirty), Pages{1});
}

TEST_P(NestedFlags, APageThatWasReadIsMarkedDirtyByTheFirstWrite) {
  EXPECT_EQ(read(*port_), 11u);
  std::byte const byte{1};
  ASSERT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
  EXPECT_EQ(marked(Flag::dirty), Pages{0});
}

TEST_P(NestedFlags, MarksThatTheGuestClearsComeBackOnceItHasInvalidated) {
  std::byte const byte{1};
  ASSERT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
  clear_flags();
  invalidate_all();
  ASSERT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
  EXPECT_EQ(marked(Flag::dirty), Pages{0});
}

TEST_P(NestedFlags, TranslationsThatFaultMarkNothing) {
  std::byte byte{};
  EXPECT_FALSE(port_->read(Iova(iova + 2 * page), &byte, 1).ok());
  EXPECT_EQ(marked(Flag::accessed), Pages{});
  EXPECT_EQ(marked(Flag::dirty), Pages{});
}

// The flags are set in the guest's word as it is then: nothing that the guest writes beside them is lost.
TEST_P(NestedFlags, WhatTheGuestChangesInTheSameWordIsKept) {
  if (GetParam().ignored == 0) GTEST_SKIP() << "all bits of a leaf mean something";
  auto word = leaf(0);
  std::atomic<bool> done = false;
  std::atomic<unsigned> rounds = 0;
  std::thread device([&] {
    std::byte const byte{1};
    while (!done) {
      EXPECT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
      rounds++;
    }
  });
  for (unsigned n = 0; n < 500; n++) {
    clear_flags();
    std::uint64_t const before = word.fetch_xor(GetParam().ignored);
    invalidate_all();
    for (unsigned const now = rounds; rounds < now + 2;) std::this_thread::yield();
    EXPECT_EQ(word.load() & GetParam().ignored, ~before & GetParam().ignored);
    EXPECT_EQ(marked(Flag::dirty), Pages{0});
  }
  done = true;
  device.join();
}

// Whoever sees the data sees the mark.
TEST_P(NestedFlags, TheMarkIsThereBeforeTheData) {
  auto const data = std::atomic_ref(*reinterpret_cast<std::uint64_t*>(memory_.data(1)));
  std::atomic<std::uint64_t> wanted = 0;
  std::thread device([&] {
    for (std::uint64_t n = 1; n <= 300; n++) {
      while (wanted < n) std::this_thread::yield();
      Port::Guard const guard(*port_);
      auto const chunk = port_->translate(guard, Iova(iova), Access::writing());
      ASSERT_TRUE(chunk);
      std::atomic_ref(*reinterpret_cast<std::uint64_t*>(chunk->data)).store(n);
    }
  });
  for (std::uint64_t n = 1; n <= 300; n++) {
    clear_flags();
    invalidate_all();
    wanted = n;
    while (data.load() != n) std::this_thread::yield();
    EXPECT_EQ(marked(Flag::dirty), Pages{0});
  }
  device.join();
}

INSTANTIATE_TEST_SUITE_P(Hardware, NestedFlags,
                         testing::Values(Keeper{"vtd", "intel-vtd", x86, bit(9)}, Keeper{"amd", "amd", x86, bit(9)},
                                         Keeper{"smmuv3", "arm-smmuv3", arm, bit(55)}, Keeper{"riscv", "riscv", riscv, bit(8)},
                                         Keeper{"raw_vtd_second_stage", "intel-vtd", vtd_under, bit(52)},
                                         Keeper{"raw_amd_v1", "amd", amd_under, bit(1)},
                                         Keeper{"raw_arm_stage2", "arm-smmuv3", arm_under, bit(55)}),
                         name_of);

// Hardware whose parent keeps dirty flags, too.
class NestedHarvest : public NestedFlags {
 protected:
  // Guest pages that the parent has as written, from page 0 on; clears them.
  std::vector<std::uint64_t> harvest() {
    std::uint64_t bits = 0;
    iommu_hwpt_get_dirty_bitmap arguments{};
    arguments.size = sizeof arguments;
    arguments.hwpt_id = parent_;
    arguments.iova = guest;
    arguments.length = 64 * page;
    arguments.page_size = page;
    arguments.data = std::bit_cast<std::uint64_t>(&bits);
    EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0) << words_;
    std::vector<std::uint64_t> pages;
    for (std::uint64_t n = 0; n < 64; n++)
      if ((bits >> n & 1) != 0) pages.push_back(n);
    return pages;
  }
  std::uint64_t leaf_page() {
    std::vector<WalkStep> steps;
    EXPECT_TRUE(table_.table().explain(iova, Access::reading(), steps));
    return (steps.back().entry_address - guest) / page;
  }
};

TEST_P(NestedHarvest, TheParentReportsTheDataAndTheTablesThatWereMarked) {
  iommu_hwpt_set_dirty_tracking track{.size = sizeof track, .flags = 1, .hwpt_id = parent_, .__reserved = 0};
  ASSERT_EQ(call(IOMMU_HWPT_SET_DIRTY_TRACKING, track), 0) << words_;
  EXPECT_EQ(harvest(), Pages{});
  std::byte const byte{1};
  ASSERT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
  auto const first = harvest();
  EXPECT_TRUE(std::ranges::find(first, 1u) != first.end());
  EXPECT_TRUE(std::ranges::find(first, leaf_page()) != first.end());
  EXPECT_TRUE(std::ranges::find(first, 40u) == first.end());
  // All marks of the user's table are there already: only the data is written again.
  ASSERT_TRUE(port_->write(Iova(iova), &byte, 1).ok());
  auto const second = harvest();
  EXPECT_TRUE(std::ranges::find(second, 1u) != second.end());
  EXPECT_TRUE(std::ranges::find(second, leaf_page()) == second.end());
  EXPECT_EQ(harvest(), Pages{});
  EXPECT_EQ(read(*port_, {}, iova + page - 3), 0u | static_cast<unsigned>(memory_.data(2)[0]));
  auto const read_only = harvest();  // the accessed flag of another leaf
  EXPECT_TRUE(std::ranges::find(read_only, 2u) == read_only.end());
}

INSTANTIATE_TEST_SUITE_P(Hardware, NestedHarvest,
                         testing::Values(Keeper{"vtd", "intel-vtd", x86, 0, dirty_parent},
                                         Keeper{"amd", "amd", x86, 0, dirty_parent}),
                         name_of);

}  // namespace
}  // namespace swiommu::iommufd
