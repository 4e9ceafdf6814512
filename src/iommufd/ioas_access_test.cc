#include "iommufd/ioas_access.h"

#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

using IoasAccessTest = IommufdTest;

TEST_F(IoasAccessTest, UsesTheIoasWhileAttached) {
  std::uint32_t const first = new_ioas(), second = new_ioas();
  auto const access = IoasAccess::create(SoftwareAccess::Use::pins).value();
  EXPECT_EQ(access->ioas(), nullptr);
  ASSERT_TRUE(access->attach(ioas(first)));
  EXPECT_EQ(access->attach(ioas(second)).error().code, EINVAL);
  EXPECT_EQ(destroy(first), EBUSY);
  ASSERT_TRUE(access->replace(ioas(second)));
  EXPECT_EQ(destroy(second), EBUSY);
  EXPECT_EQ(destroy(first), 0);
  ASSERT_TRUE(access->detach());
  EXPECT_EQ(access->detach().error().code, ENOENT);
  EXPECT_EQ(destroy(second), 0);
}

TEST_F(IoasAccessTest, GivesTheIoasFreeWhenItDies) {
  std::uint32_t const id = new_ioas();
  auto access = IoasAccess::create(SoftwareAccess::Use::locks).value();
  ASSERT_EQ(map(id, memory(page), page, 0x10000), 0);
  ASSERT_TRUE(access->attach(ioas(id)));
  ASSERT_TRUE(access->memory().pin(0x10000, page, false));
  EXPECT_EQ(unmap(id, 0x10000, page), EBUSY);
  EXPECT_EQ(unmap(id, 0, ~std::uint64_t{0}), EBUSY);
  access.reset();
  EXPECT_EQ(caller_.process()->pinned_pages, 0u);
  EXPECT_EQ(destroy(id), 0);
}

TEST_F(IoasAccessTest, UnmappingAsksForMemoryInsideTheIoctl) {
  std::uint32_t const id = new_ioas();
  std::shared_ptr<IoasAccess> access;
  access = IoasAccess::create(SoftwareAccess::Use::pins, [&](Range) { access->memory().unpin(0x10000, page); }).value();
  ASSERT_EQ(map(id, memory(page), page, 0x10000), 0);
  ASSERT_TRUE(access->attach(ioas(id)));
  ASSERT_TRUE(access->memory().pin(0x10000, page, true));
  EXPECT_EQ(caller_.process()->pinned_pages, 1u);
  EXPECT_EQ(unmap(id, 0x10000, page), 0);
  EXPECT_EQ(caller_.process()->pinned_pages, 0u);
}

TEST_F(IoasAccessTest, TheFileDestroysWhatItUses) {
  std::uint32_t const id = new_ioas();
  auto const access = IoasAccess::create(SoftwareAccess::Use::copies).value();
  ASSERT_TRUE(access->attach(ioas(id)));
  {
    Lock const lock(file().mutex());
    auto object = file().objects().add(access);
    ASSERT_TRUE(object);
    object->publish();
  }
  Use<IoasAccess> const driver(access);
  EXPECT_EQ(destroy(access->id()), EBUSY) << "whoever made it needs it";
}

}  // namespace
}  // namespace swiommu::iommufd
