#include "iommufd/file.h"
#include "iommufd/hwpt.h"
#include "iommufd/selftest/selftest_fixture.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestDmabufTest : public SelftestFixture {
 protected:
  long buffer(std::uint32_t length) {
    auto c = command(TestOperation::dmabuf_get, 0);
    c.dmabuf_get.length = length;
    return test(c);
  }
  long revoke(long descriptor, bool revoked) {
    auto c = command(TestOperation::dmabuf_revoke, 0);
    c.dmabuf_revoke = {.descriptor = static_cast<std::int32_t>(descriptor), .revoked = revoked};
    return test(c);
  }
  long map_buffer(std::uint32_t ioas, long descriptor, std::uint64_t start, std::uint64_t length, std::uint64_t iova) {
    iommu_ioas_map_file c{.size = sizeof c,
                          .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
                          .ioas_id = ioas,
                          .fd = static_cast<std::int32_t>(descriptor),
                          .start = start,
                          .length = length,
                          .iova = iova};
    return call(IOMMU_IOAS_MAP_FILE, c);
  }

  // Does the HWPT translate first_iova?
  bool mapped(std::uint32_t hwpt) {
    auto& file = static_cast<File&>(*file_);
    Lock const lock(file.mutex());
    return file.objects().find<HwptPaging>(hwpt).value()->domain()->translate(first_iova, Access::reading(), Update::no).ok();
  }
};

TEST_F(SelftestDmabufTest, BuffersHaveWholePages) {
  EXPECT_EQ(buffer(0), -EINVAL);
  EXPECT_EQ(buffer(512 * page + 1), -EINVAL);
  std::uint32_t const space = ioas();
  long const made = buffer(page + 1);
  ASSERT_GT(made, 0);
  EXPECT_EQ(map_buffer(space, made, 0, 2 * page, first_iova), 0);
  EXPECT_EQ(map_buffer(space, made, page, page, first_iova + 2 * page), 0);
  EXPECT_EQ(map_buffer(space, made, 0, 0, first_iova + 4 * page), -EINVAL);
  EXPECT_EQ(map_buffer(space, made, 0, 2 * page + 1, first_iova + 4 * page), -EINVAL);
  EXPECT_EQ(map_buffer(space, made, 2 * page, page, first_iova + 4 * page), -EINVAL);
  close(made);
  EXPECT_EQ(unmap(space, first_iova, 3 * page), 0);
  caller_.most_descriptors = 0;
  EXPECT_EQ(buffer(page), -EMFILE);
}

TEST_F(SelftestDmabufTest, ARevokedMappingIsGoneFromEveryDomainForGood) {
  std::uint32_t const space = ioas(), other = ioas();
  Mock const first = mock(space), second = mock(other);
  long const made = buffer(2 * page);
  ASSERT_EQ(map_buffer(space, made, 0, 2 * page, first_iova), 0);
  iommu_ioas_copy copy{.size = sizeof copy,
                       .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE,
                       .dst_ioas_id = other,
                       .src_ioas_id = space,
                       .length = page,
                       .dst_iova = first_iova,
                       .src_iova = first_iova + page};
  ASSERT_EQ(call(IOMMU_IOAS_COPY, copy), 0);
  EXPECT_TRUE(mapped(first.hwpt));
  EXPECT_TRUE(mapped(second.hwpt));
  EXPECT_EQ(revoke(made, true), 0);
  EXPECT_FALSE(mapped(first.hwpt));
  EXPECT_FALSE(mapped(second.hwpt));
  EXPECT_GT(hwpt(first.device, space), 0);  // domains to come do without it
  EXPECT_EQ(map_buffer(space, made, 0, page, first_iova + 4 * page), -ENODEV);
  EXPECT_EQ(revoke(made, false), 0);
  EXPECT_FALSE(mapped(first.hwpt));
  EXPECT_EQ(unmap(space, first_iova, 2 * page), 0);
  EXPECT_EQ(map_buffer(space, made, 0, 2 * page, first_iova), 0);
  EXPECT_TRUE(mapped(first.hwpt));
}

TEST_F(SelftestDmabufTest, OnlyBuffersCanBeRevoked) {
  EXPECT_EQ(revoke(-1, true), -EBADF);
  EXPECT_EQ(revoke(STDIN_FILENO, true), -EINVAL);
  EXPECT_EQ(revoke(access(ioas()), true), -EINVAL);
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
