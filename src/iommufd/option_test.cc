#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

class IommufdOptionTest : public IommufdTest {
 protected:
  int option(std::uint32_t what, std::uint16_t operation, std::uint32_t object, std::uint64_t value = 0) {
    iommu_option arguments{
        .size = sizeof arguments, .option_id = what, .op = operation, .__reserved = 0, .object_id = object, .val64 = value};
    int const code = call(IOMMU_OPTION, arguments);
    value_ = arguments.val64;
    return code;
  }
  int vfio_ioas(std::uint16_t operation, std::uint32_t id = 0) {
    iommu_vfio_ioas arguments{.size = sizeof arguments, .ioas_id = id, .op = operation, .__reserved = 0};
    int const code = call(IOMMU_VFIO_IOAS, arguments);
    compatibility_ = arguments.ioas_id;
    return code;
  }
  static constexpr std::uint16_t set = IOMMU_OPTION_OP_SET, get = IOMMU_OPTION_OP_GET;
  static constexpr std::uint32_t rlimit_mode = IOMMU_OPTION_RLIMIT_MODE, huge_pages = IOMMU_OPTION_HUGE_PAGES;

  std::uint64_t value_ = 0;
  std::uint32_t compatibility_ = 0;
};

TEST_F(IommufdOptionTest, RefusesWhatIsNotKnown) {
  EXPECT_EQ(option(2, get, 0), EOPNOTSUPP);
  EXPECT_EQ(option(rlimit_mode, get, 1), EOPNOTSUPP) << "it belongs to no object";
  EXPECT_EQ(option(rlimit_mode, 2, 0), EOPNOTSUPP);
  iommu_option arguments{
      .size = sizeof arguments, .option_id = huge_pages, .op = get, .__reserved = 1, .object_id = 99, .val64 = 0};
  EXPECT_EQ(call(IOMMU_OPTION, arguments), EOPNOTSUPP);
  EXPECT_EQ(option(huge_pages, 2, 99), ENOENT) << "the object comes first";
  EXPECT_EQ(option(huge_pages, 2, new_ioas()), EOPNOTSUPP);
}

TEST_F(IommufdOptionTest, TheLimitIsChosenBeforeTheFirstObject) {
  EXPECT_EQ(option(rlimit_mode, get, 0), 0);
  EXPECT_EQ(value_, 0u);
  EXPECT_EQ(option(rlimit_mode, set, 0, 1), EPERM);
  caller_.capabilities.insert(Capability::sys_resource);
  EXPECT_EQ(option(rlimit_mode, set, 0, 2), EINVAL);
  EXPECT_EQ(option(rlimit_mode, set, 0, 1), 0);
  EXPECT_EQ(option(rlimit_mode, get, 0), 0);
  EXPECT_EQ(value_, 1u);
  EXPECT_EQ(option(rlimit_mode, set, 0, 0), 0);
  std::uint32_t const id = new_ioas();
  EXPECT_EQ(option(rlimit_mode, set, 0, 2), EBUSY) << "before the value is looked at";
  caller_.capabilities.clear();
  EXPECT_EQ(option(rlimit_mode, set, 0, 2), EPERM) << "before the objects are";
  EXPECT_EQ(destroy(id), 0);
  caller_.capabilities.insert(Capability::sys_resource);
  EXPECT_EQ(option(rlimit_mode, set, 0, 1), 0);
}

TEST_F(IommufdOptionTest, AContainerOfVfioChargesTheProcess) {
  file_ = engine_->open_container().value();
  EXPECT_EQ(option(rlimit_mode, get, 0), 0);
  EXPECT_EQ(value_, 1u);
}

TEST_F(IommufdOptionTest, HugePagesMayBeTurnedOffBeforeAnythingIsMappedInADomain) {
  std::uint32_t const id = new_ioas();
  auto const domain = PagingDomain::create(engine_->host(), {}).value();
  auto* const data = memory(page);
  EXPECT_EQ(option(huge_pages, get, id), 0);
  EXPECT_EQ(value_, 1u);
  EXPECT_EQ(option(huge_pages, set, id, 2), EINVAL);
  ASSERT_EQ(map(id, data, 100, 0), 0);
  EXPECT_EQ(option(huge_pages, set, id, 0), EADDRINUSE) << "an area is not aligned";
  EXPECT_EQ(option(huge_pages, set, id, 1), 0);
  ASSERT_EQ(unmap(id, 0, ~std::uint64_t{0}), 0);
  ASSERT_TRUE(ioas(id)->space().attach_domain(domain));
  ASSERT_EQ(map(id, data, page, 0), 0);
  EXPECT_EQ(option(huge_pages, set, id, 0), EINVAL) << "mapped in a domain";
  ASSERT_EQ(unmap(id, 0, ~std::uint64_t{0}), 0);
  EXPECT_EQ(option(huge_pages, set, id, 0), 0);
  ASSERT_EQ(map(id, data, page, 0), 0);
  EXPECT_EQ(option(huge_pages, set, id, 0), 0) << "is off already";
  EXPECT_EQ(option(huge_pages, get, id), 0);
  EXPECT_EQ(value_, 0u);
  EXPECT_EQ(option(huge_pages, set, id, 1), 0);
}

TEST_F(IommufdOptionTest, WithoutHugePagesEverythingIsAlignedToPages) {
  std::uint32_t const id = new_ioas();
  ASSERT_EQ(option(huge_pages, set, id, 0), 0);
  EXPECT_EQ(*ioas(id)->space().alignment(), page);
  EXPECT_EQ(map(id, memory(page), 100, 0), EINVAL);
  ASSERT_EQ(option(huge_pages, set, id, 1), 0);
  EXPECT_EQ(*ioas(id)->space().alignment(), 1u);
}

TEST_F(IommufdOptionTest, OnlyTheValueIsWrittenBack) {
  iommu_option arguments{
      .size = sizeof arguments, .option_id = huge_pages, .op = get, .__reserved = 0, .object_id = new_ioas(), .val64 = 7};
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(call(IOMMU_OPTION, arguments), EFAULT);
  arguments.op = set;
  arguments.val64 = 0;
  EXPECT_EQ(call(IOMMU_OPTION, arguments), EFAULT);
  EXPECT_FALSE(ioas(arguments.object_id)->space().huge_pages()) << "as in Linux, it is set all the same";
}

TEST_F(IommufdOptionTest, TheIoasOfType1IsNotHeld) {
  EXPECT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_GET), ENODEV);
  EXPECT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_CLEAR), 0);
  EXPECT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_SET, 1), ENOENT);
  EXPECT_EQ(vfio_ioas(3), EOPNOTSUPP);
  iommu_vfio_ioas reserved{.size = sizeof reserved, .ioas_id = 0, .op = IOMMU_VFIO_IOAS_CLEAR, .__reserved = 1};
  EXPECT_EQ(call(IOMMU_VFIO_IOAS, reserved), EOPNOTSUPP);
  std::uint32_t const first = new_ioas(), second = new_ioas();
  ASSERT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_SET, second), 0);
  ASSERT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_GET), 0);
  EXPECT_EQ(compatibility_, second);
  EXPECT_EQ(destroy(second), 0);
  EXPECT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_GET), ENODEV);
  ASSERT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_SET, first), 0);
  ASSERT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_CLEAR), 0);
  EXPECT_EQ(vfio_ioas(IOMMU_VFIO_IOAS_GET), ENODEV);
}

}  // namespace
}  // namespace swiommu::iommufd
