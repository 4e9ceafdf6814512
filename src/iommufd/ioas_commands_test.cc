#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

class IoasCommandsTest : public IommufdTest {
 protected:
  int ranges(std::uint32_t id, std::span<iommu_iova_range> array, std::uint32_t count, iommu_ioas_iova_ranges& arguments) {
    arguments = {.size = sizeof arguments,
                 .ioas_id = id,
                 .num_iovas = count,
                 .__reserved = 0,
                 .allowed_iovas = std::bit_cast<std::uint64_t>(array.data()),
                 .out_iova_alignment = 0};
    return call(IOMMU_IOAS_IOVA_RANGES, arguments);
  }
  int allow(std::uint32_t id, std::vector<iommu_iova_range> const& list) {
    iommu_ioas_allow_iovas arguments{.size = sizeof arguments,
                                     .ioas_id = id,
                                     .num_iovas = static_cast<std::uint32_t>(list.size()),
                                     .__reserved = 0,
                                     .allowed_iovas = std::bit_cast<std::uint64_t>(list.data())};
    return call(IOMMU_IOAS_ALLOW_IOVAS, arguments);
  }
  void reserve(std::uint32_t id, Range range) { ASSERT_TRUE(ioas(id)->space().reserve({&range, 1}, this)); }
};

TEST_F(IoasCommandsTest, GivesTheLowestFreeIds) {
  EXPECT_EQ(new_ioas(), 1u);
  EXPECT_EQ(new_ioas(), 2u);
  EXPECT_EQ(new_ioas(), 3u);
  EXPECT_EQ(destroy(2), 0);
  EXPECT_EQ(destroy(2), ENOENT);
  EXPECT_EQ(new_ioas(), 2u);
  EXPECT_EQ(destroy(0), ENOENT);
  EXPECT_EQ(destroy(~0u), ENOENT);
}

TEST_F(IoasCommandsTest, TakesNoFlagsAndNothingIsMadeIfTheIdCannotBeTold) {
  iommu_ioas_alloc alloc{.size = sizeof alloc, .flags = 1, .out_ioas_id = 0};
  EXPECT_EQ(call(IOMMU_IOAS_ALLOC, alloc), EOPNOTSUPP);
  alloc.flags = 0;
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_IOAS_ALLOC, alloc), EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_EQ(new_ioas(), 1u);
}

TEST_F(IoasCommandsTest, AnIoasThatIsUsedCannotBeDestroyed) {
  std::uint32_t const id = new_ioas();
  {
    Use<Ioas> const use(ioas(id));
    EXPECT_EQ(destroy(id), EBUSY);
  }
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(IoasCommandsTest, DestroyingUnmapsAndUnpins) {
  caller_.capabilities.clear();
  std::uint32_t const id = new_ioas();
  auto const domain = PagingDomain::create(engine_->host(), {}).value();
  auto const process = caller_.process();
  ASSERT_TRUE(ioas(id)->space().attach_domain(domain));
  ASSERT_EQ(map(id, memory(2 * page), 2 * page, 0x10000), 0);
  EXPECT_EQ(process->pinned_pages, 2u);
  ASSERT_EQ(destroy(id), 0);
  EXPECT_EQ(process->pinned_pages, 0u);
  EXPECT_EQ(process->user->locked_pages, 0u);
}

TEST_F(IoasCommandsTest, TellsWhatIsNotReserved) {
  std::uint32_t const id = new_ioas();
  std::array<iommu_iova_range, 3> array{};
  iommu_ioas_iova_ranges arguments{};
  ASSERT_EQ(ranges(id, array, 3, arguments), 0);
  EXPECT_EQ(arguments.num_iovas, 1u);
  EXPECT_EQ(arguments.out_iova_alignment, 1u);
  EXPECT_EQ(array[0].start, 0u);
  EXPECT_EQ(array[0].last, ~std::uint64_t{0});
  reserve(id, {page, 2 * page - 1});
  ASSERT_EQ(ranges(id, array, 2, arguments), 0);
  EXPECT_EQ(arguments.num_iovas, 2u);
  EXPECT_EQ(array[0].last, page - 1);
  EXPECT_EQ(array[1].start, 2 * page);
  EXPECT_EQ(array[1].last, ~std::uint64_t{0});
}

TEST_F(IoasCommandsTest, SaysHowManyRangesThereAreWhereTheyDoNotFit) {
  std::uint32_t const id = new_ioas();
  reserve(id, {page, 2 * page - 1});
  std::array<iommu_iova_range, 2> array{};
  iommu_ioas_iova_ranges arguments{};
  EXPECT_EQ(ranges(id, array, 0, arguments), EMSGSIZE);
  EXPECT_EQ(arguments.num_iovas, 2u);
  EXPECT_EQ(array[0].last, 0u) << "untouched";
  EXPECT_EQ(ranges(id, array, 1, arguments), EMSGSIZE);
  EXPECT_EQ(arguments.num_iovas, 2u);
  EXPECT_EQ(array[0].last, page - 1);
  EXPECT_EQ(array[1].last, 0u) << "untouched";
}

TEST_F(IoasCommandsTest, RefusesBadQuestionsForRanges) {
  std::uint32_t const id = new_ioas();
  std::array<iommu_iova_range, 2> array{};
  iommu_ioas_iova_ranges arguments{};
  EXPECT_EQ(ranges(id + 1, array, 2, arguments), ENOENT);
  EXPECT_EQ(ranges(id, {}, 1, arguments), EFAULT);
  EXPECT_EQ(arguments.num_iovas, 1u) << "not written back";
  EXPECT_EQ(ranges(id, {}, 0, arguments), EMSGSIZE) << "no room needs no array";
  arguments = {
      .size = sizeof arguments, .ioas_id = id + 1, .num_iovas = 0, .__reserved = 1, .allowed_iovas = 0, .out_iova_alignment = 0};
  EXPECT_EQ(call(IOMMU_IOAS_IOVA_RANGES, arguments), EOPNOTSUPP) << "before the id is looked at";
}

TEST_F(IoasCommandsTest, AllowedRangesReplaceEachOtherWhole) {
  std::uint32_t const id = new_ioas();
  reserve(id, {0x100000, 0x1fffff});
  ASSERT_EQ(allow(id, {{0x10000, 0x1ffff}, {0x40000, 0x4ffff}}), 0);
  EXPECT_EQ(allow(id, {{0x20000, 0x2ffff}, {0x180000, 0x18ffff}}), EADDRINUSE);
  EXPECT_EQ(allow(id, {{0x20000, 0x2ffff}, {0x2f000, 0x30000}}), EINVAL);
  EXPECT_EQ(allow(id, {{0x20000, 0x1ffff}}), EINVAL);
  EXPECT_EQ(allow(id, {{0x20000, 0x20000}}), EINVAL) << "a range of one byte";
  Range const taken{0x10000, 0x10fff};
  EXPECT_EQ(ioas(id)->space().reserve({&taken, 1}, this).error().code, EADDRINUSE) << "the old list is kept";
  ASSERT_EQ(allow(id, {}), 0);
  EXPECT_TRUE(ioas(id)->space().reserve({&taken, 1}, this));
}

TEST_F(IoasCommandsTest, FindsWhatIsWrongWithAllowedRangesInLinuxOrder) {
  std::uint32_t const id = new_ioas();
  reserve(id, {0x100000, 0x1fffff});
  EXPECT_EQ(allow(id + 1, {{1, 0}}), ENOENT);
  EXPECT_EQ(allow(id, {{0x100000, 0x1fffff}, {2, 1}}), EINVAL) << "before anything is compared with what is reserved";
  iommu_ioas_allow_iovas arguments{.size = sizeof arguments, .ioas_id = id, .num_iovas = 1, .__reserved = 0, .allowed_iovas = 0};
  EXPECT_EQ(call(IOMMU_IOAS_ALLOW_IOVAS, arguments), EFAULT);
  arguments.__reserved = 1;
  arguments.ioas_id = id + 1;
  EXPECT_EQ(call(IOMMU_IOAS_ALLOW_IOVAS, arguments), EOPNOTSUPP);
}

TEST_F(IoasCommandsTest, AllowedRangesSteerAutomaticPlacesOnly) {
  std::uint32_t const id = new_ioas();
  auto* const data = memory(4 * page);
  ASSERT_EQ(allow(id, {{0x40000, 0x41fff}}), 0);
  auto arguments = map_of(id, data, page, 0, read_write);
  ASSERT_EQ(call(IOMMU_IOAS_MAP, arguments), 0);
  EXPECT_EQ(arguments.iova, 0x40000u);
  EXPECT_EQ(map(id, data, page, 0x90000), 0);
  arguments = map_of(id, data, 2 * page, 0, read_write);
  EXPECT_EQ(call(IOMMU_IOAS_MAP, arguments), ENOSPC);
}

}  // namespace
}  // namespace swiommu::iommufd
