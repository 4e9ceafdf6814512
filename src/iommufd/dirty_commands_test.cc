#include <sys/resource.h>

#include <fstream>

#include "iommufd_device_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t first = 0x100000;

class DirtyCommandsTest : public IommufdDeviceTest {
 protected:
  void SetUp() override {
    device_ = bind(physical_);
    space_ = new_ioas();
    hwpt_ = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
    ASSERT_EQ(map(space_, memory(64 * page), 64 * page, first), 0);
    ASSERT_EQ(attach(*device_, hwpt_), 0);
    port_ = physical_->device()->open_port().value();
  }
  void TearDown() override {
    port_ = nullptr;
    device_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  int track(bool on) {
    iommu_hwpt_set_dirty_tracking arguments{.size = sizeof arguments, .flags = on, .hwpt_id = hwpt_, .__reserved = 0};
    return call(IOMMU_HWPT_SET_DIRTY_TRACKING, arguments);
  }
  iommu_hwpt_get_dirty_bitmap of(void* bitmap, std::uint64_t iova = first, std::uint64_t length = 64 * page) const {
    iommu_hwpt_get_dirty_bitmap arguments{};
    arguments.size = sizeof arguments;
    arguments.hwpt_id = hwpt_;
    arguments.iova = iova;
    arguments.length = length;
    arguments.page_size = page;
    arguments.data = std::bit_cast<std::uint64_t>(bitmap);
    return arguments;
  }
  std::uint64_t harvest(std::uint32_t flags = 0) {
    std::uint64_t bits = 0;
    auto arguments = of(&bits);
    arguments.flags = flags;
    EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0) << words_;
    return bits;
  }
  void write(std::uint64_t number) {
    std::byte const byte{1};
    EXPECT_TRUE(port_->write(Iova(first + number * page), &byte, 1).ok());
  }

  std::shared_ptr<PhysicalDevice> physical_ = new_physical();
  std::unique_ptr<BoundDevice> device_;
  std::unique_ptr<Port> port_;
  std::uint32_t space_ = 0, hwpt_ = 0;
};

TEST_F(DirtyCommandsTest, TellsWhatDevicesHaveWritten) {
  ASSERT_EQ(track(true), 0);
  EXPECT_EQ(harvest(), 0u);
  write(0);
  write(5);
  write(63);
  EXPECT_EQ(harvest(), 1u | 1u << 5 | std::uint64_t{1} << 63);
  EXPECT_EQ(harvest(), 0u);
  write(5);
  EXPECT_EQ(harvest(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR), 1u << 5);
  EXPECT_EQ(harvest(), 1u << 5);
}

TEST_F(DirtyCommandsTest, StartingForgetsWhatWasWrittenBefore) {
  write(3);
  EXPECT_EQ(harvest(), 0u);  // nobody tracks
  ASSERT_EQ(track(true), 0);
  EXPECT_EQ(harvest(), 0u);
  write(3);
  ASSERT_EQ(track(true), 0);  // once more
  EXPECT_EQ(harvest(), 0u);
  write(3);
  ASSERT_EQ(track(false), 0);
  EXPECT_EQ(harvest(), 0u);
}

TEST_F(DirtyCommandsTest, BitsAreOnlyEverSet) {
  ASSERT_EQ(track(true), 0);
  write(4);
  std::uint64_t bits = 2;
  auto arguments = of(&bits);
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  EXPECT_EQ(bits, 2u | 1u << 4);
}

TEST_F(DirtyCommandsTest, TheBitmapMayLieAnywhereAndCountsFromTheIova) {
  ASSERT_EQ(track(true), 0);
  write(16);
  write(27);
  std::array<std::uint8_t, 16> bytes{};
  auto arguments = of(bytes.data() + 3, first + 16 * page, 16 * page);
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  std::array<std::uint8_t, 16> expected{};
  expected[3] = 1;
  expected[4] = 1 << 3;
  EXPECT_EQ(bytes, expected);
}

TEST_F(DirtyCommandsTest, SmallerPagesGetABitEach) {
  ASSERT_EQ(track(true), 0);
  write(1);
  std::uint64_t bits = 0;
  auto arguments = of(&bits, first, 4 * page);
  arguments.page_size = 1024;
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  EXPECT_EQ(bits, 0xf0u);
}

TEST_F(DirtyCommandsTest, LargerPagesAreDirtyIfAPartIs) {
  ASSERT_EQ(track(true), 0);
  write(17);
  std::uint64_t bits = 0;
  auto arguments = of(&bits);
  arguments.page_size = 16 * page;
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  EXPECT_EQ(bits, 2u);
}

TEST_F(DirtyCommandsTest, LargeBitmapsAreWrittenInPieces) {
  std::uint64_t const length = 32 << 20, iova = 0x10000000;
  ASSERT_EQ(map(space_, memory(length, MAP_SHARED | MAP_ANONYMOUS), length, iova), 0);
  ASSERT_EQ(track(true), 0);
  std::byte const byte{1};
  for (std::uint64_t const at : {std::uint64_t{0}, length / 2, length - 1})
    ASSERT_TRUE(port_->write(Iova(iova + at), &byte, 1).ok());
  std::vector<std::uint8_t> bits(length / 256 / 8, 0);
  auto arguments = of(bits.data(), iova, length);
  arguments.page_size = 256;
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  auto const set = [&](std::uint64_t at) { return (bits[at / 256 / 8] >> (at / 256 % 8) & 1) != 0; };
  EXPECT_TRUE(set(0));
  EXPECT_TRUE(set(page - 1));
  EXPECT_TRUE(set(length / 2));
  EXPECT_TRUE(set(length - 1));
  EXPECT_TRUE(set(length - page));
  EXPECT_FALSE(set(length / 4));
}

TEST_F(DirtyCommandsTest, StopsAtAHoleWithoutAnError) {
  ASSERT_EQ(track(true), 0);
  ASSERT_EQ(map(space_, memory(page), page, first + 80 * page), 0);
  write(2);
  std::byte const byte{1};
  ASSERT_TRUE(port_->write(Iova(first + 80 * page), &byte, 1).ok());
  std::array<std::uint64_t, 2> bits{};
  auto arguments = of(bits.data(), first, 128 * page);
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  EXPECT_EQ(bits[0], 4u);
  EXPECT_EQ(bits[1], 0u);
  arguments = of(bits.data(), first - page, 2 * page);  // the hole comes first
  write(0);
  bits = {};
  ASSERT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
  EXPECT_EQ(bits[0], 0u);
}

// What lies behind the hole takes no memory, however far away it is.
TEST_F(DirtyCommandsTest, AHoleOfTerabytesCostsNothing) {
  ASSERT_EQ(track(true), 0);
  ASSERT_EQ(map(space_, memory(page), page, std::uint64_t{1} << 47), 0);
  write(2);
  std::uint64_t bits = 0, used = 0;  // pages
  auto arguments = of(&bits, first, (std::uint64_t{1} << 47) - first + page);
  std::ifstream("/proc/self/statm") >> used;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit const scarce{.rlim_cur = used * page + (std::uint64_t{1} << 30), .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &scarce), 0);
  int const outcome = call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  EXPECT_EQ(outcome, 0) << words_;
  EXPECT_EQ(bits, 4u);
}

TEST_F(DirtyCommandsTest, ABitmapThatCannotBeWrittenIsNoError) {
  ASSERT_EQ(track(true), 0);
  write(2);
  auto arguments = of(std::bit_cast<void*>(std::uint64_t{16}));
  EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0);
}

TEST_F(DirtyCommandsTest, GetChecksItsArgumentsInLinuxOrder) {
  std::uint64_t bits = 0;
  auto const good = of(&bits);
  auto const refuse = [&](int expected, auto change) {
    auto arguments = good;
    change(arguments);
    EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), expected) << words_;
  };
  std::uint32_t const plain = new_hwpt(*device_, space_);
  refuse(EOPNOTSUPP, [](auto& a) { a.flags = 2, a.hwpt_id = 100; });
  refuse(EOPNOTSUPP, [](auto& a) { a.__reserved = 1; });
  refuse(ENOENT, [](auto& a) { a.hwpt_id = 100; });
  refuse(ENOENT, [&](auto& a) { a.hwpt_id = space_; });
  refuse(EOVERFLOW, [](auto& a) { a.length = 0; });
  refuse(EOVERFLOW, [](auto& a) { a.length = ~std::uint64_t{0}; });
  refuse(EINVAL, [](auto& a) { a.iova += 1; });
  refuse(EINVAL, [](auto& a) { a.length += 1; });
  refuse(EINVAL, [](auto& a) { a.page_size = 0; });
  refuse(EINVAL, [](auto& a) { a.page_size = 128 * page; });
  refuse(EINVAL, [&](auto& a) { a.hwpt_id = plain, a.page_size = 0; });
  refuse(EOPNOTSUPP, [&](auto& a) { a.hwpt_id = plain; });
}

TEST_F(DirtyCommandsTest, SetChecksItsArguments) {
  std::uint32_t const plain = new_hwpt(*device_, space_);
  auto const set = [&](std::uint32_t flags, std::uint32_t id) {
    iommu_hwpt_set_dirty_tracking arguments{.size = sizeof arguments, .flags = flags, .hwpt_id = id, .__reserved = 7};
    return call(IOMMU_HWPT_SET_DIRTY_TRACKING, arguments);
  };
  EXPECT_EQ(set(2, hwpt_), EOPNOTSUPP);
  EXPECT_EQ(set(1, 100), ENOENT);
  EXPECT_EQ(set(1, space_), ENOENT);
  EXPECT_EQ(set(1, plain), EOPNOTSUPP);
  EXPECT_EQ(set(0, plain), EOPNOTSUPP);
  EXPECT_EQ(set(1, hwpt_), 0);  // whatever is reserved
}

}  // namespace
}  // namespace swiommu::iommufd
