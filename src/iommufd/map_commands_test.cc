#include <fcntl.h>

#include "iommufd_fixture.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t largest = ~std::uint64_t{0};

class MapCommandsTest : public IommufdTest {
 protected:
  int map_with(iommu_ioas_map arguments) { return call(IOMMU_IOAS_MAP, arguments); }
  int copy(std::uint32_t to, std::uint32_t from, std::uint64_t source, std::uint64_t length, std::uint64_t target,
           std::uint32_t flags = fixed | read_write) {
    iommu_ioas_copy arguments{.size = sizeof arguments,
                              .flags = flags,
                              .dst_ioas_id = to,
                              .src_ioas_id = from,
                              .length = length,
                              .dst_iova = target,
                              .src_iova = source};
    int const code = call(IOMMU_IOAS_COPY, arguments);
    copied_to_ = arguments.dst_iova;
    return code;
  }
  int map_file(int descriptor, std::uint64_t start, std::uint64_t length, std::uint64_t iova,
               std::uint32_t flags = fixed | read_write) {
    iommu_ioas_map_file arguments{.size = sizeof arguments,
                                  .flags = flags,
                                  .ioas_id = id_,
                                  .fd = descriptor,
                                  .start = start,
                                  .length = length,
                                  .iova = iova};
    int const code = call(IOMMU_IOAS_MAP_FILE, arguments);
    mapped_at_ = arguments.iova;
    return code;
  }
  std::shared_ptr<PagingDomain> attach() {
    auto domain = PagingDomain::create(engine_->host(), {}).value();
    EXPECT_TRUE(ioas(id_)->space().attach_domain(domain));
    return domain;
  }
  // Bytes at an iova of a domain.
  std::byte* at(PagingDomain const& domain, std::uint64_t iova) const {
    auto const t = domain.translate(iova, Access::reading(), Update::no);
    EXPECT_TRUE(t.ok());
    return engine_->addresses().pointer(HostAddress(t.output));
  }

  std::uint32_t const id_ = new_ioas();
  std::byte* const data_ = memory(16 * page);
  std::uint64_t copied_to_ = 0, mapped_at_ = 0;
};

TEST_F(MapCommandsTest, MapFindsWhatIsWrongInLinuxOrder) {
  // Each call has all that is wrong with the ones below as well.
  iommu_ioas_map bad = map_of(99, std::bit_cast<void*>(largest - 10), largest, largest, fixed);
  bad.flags |= 8;
  bad.__reserved = 1;
  EXPECT_EQ(map_with(bad), EOPNOTSUPP);
  bad.flags &= ~8u;
  EXPECT_EQ(map_with(bad), EOPNOTSUPP);
  bad.__reserved = 0;
  EXPECT_EQ(map_with(bad), EOVERFLOW) << "iova and length";
  bad.iova = 0x800;
  EXPECT_EQ(map_with(bad), EOVERFLOW) << "length";
  bad.length = largest - page + 1;
  EXPECT_EQ(map_with(bad), EINVAL) << "neither read nor write";
  bad.flags |= read_write;
  EXPECT_EQ(map_with(bad), ENOENT);
  bad.ioas_id = id_;
  EXPECT_EQ(map_with(bad), EOVERFLOW) << "end of the memory";
  bad.user_va = 0;
  bad.length = largest - page + 1;
  EXPECT_EQ(map_with(bad), EINVAL) << "too long";
  bad.length = 0;
  EXPECT_EQ(map_with(bad), EINVAL);
}

TEST_F(MapCommandsTest, TheLargestIovaIsRefusedEvenWhereItIsNotUsed) {
  EXPECT_EQ(map_with(map_of(id_, data_, page, largest, read_write)), EOVERFLOW);
}

TEST_F(MapCommandsTest, AFixedPlaceIsCheckedInLinuxOrder) {
  attach();
  Range const doorbell{0x50000, 0x50fff};
  ASSERT_TRUE(ioas(id_)->space().reserve({&doorbell, 1}, this));
  ASSERT_EQ(map(id_, data_, 2 * page, 0x10000), 0);
  EXPECT_EQ(map(id_, data_, page / 2, 0x10000), EINVAL) << "length";
  EXPECT_NE(words_.find("length"), std::string::npos) << words_;
  EXPECT_EQ(map(id_, data_, page, 0x10800), EINVAL) << "iova";
  EXPECT_NE(words_.find("0x10800"), std::string::npos) << words_;
  EXPECT_EQ(map(id_, data_, 2 * page, largest - page + 1), EOVERFLOW);
  EXPECT_EQ(map(id_, data_, 2 * page, 0x4f000), EINVAL) << "reserved";
  EXPECT_EQ(map(id_, data_ + 0x800, 2 * page, 0xf000), EEXIST) << "before the memory is looked at";
  EXPECT_EQ(map(id_, data_ + 0x800, page, 0x20000), EINVAL) << "memory";
  EXPECT_EQ(ioas(id_)->space().areas(Range::all())->size(), 1u);
}

TEST_F(MapCommandsTest, SaysWhatAnOverlapIsWith) {
  ASSERT_EQ(map(id_, data_, 2 * page, 0), 0);
  EXPECT_EQ(map(id_, data_, 2 * page, 0x1000), EEXIST);
  auto const address = std::bit_cast<std::uint64_t>(data_);
  char expected[160];
  std::snprintf(expected, sizeof expected, "iovas 0x1000-0x2fff overlap the area 0x0-0x1fff mapped from %#llx (pid 1000)",
                static_cast<unsigned long long>(address));
  EXPECT_EQ(words_, expected);
}

TEST_F(MapCommandsTest, WithoutADomainNothingIsLookedAtAndEverythingFits) {
  void* const gone = ::mmap(nullptr, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_EQ(::munmap(gone, page), 0);
  EXPECT_EQ(map(id_, gone, 0x123, 0x7), 0);
  EXPECT_EQ(ioas(id_)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()).error().code, EADDRINUSE);
  ASSERT_EQ(unmap(id_, 0, largest), 0);
  EXPECT_EQ(map(id_, gone, page, page), 0);
  EXPECT_EQ(ioas(id_)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()).error().code, EFAULT);
}

TEST_F(MapCommandsTest, MemoryThatIsNotThereFailsWithADomain) {
  auto const domain = attach();
  auto* const hole = memory(2 * page);
  ::munmap(hole + page, page);
  EXPECT_EQ(map(id_, hole, 2 * page, 0x10000), EFAULT);
  EXPECT_FALSE(domain->translate(0x10000, Access::reading(), Update::no).ok());
  EXPECT_EQ(caller_.process()->pinned_pages, 0u);
  ::mprotect(hole, page, PROT_READ);
  EXPECT_EQ(map(id_, hole, page, 0x10000), EFAULT) << "not writable";
  EXPECT_EQ(map_with(map_of(id_, hole, page, 0x10000, fixed | IOMMU_IOAS_MAP_READABLE)), 0);
}

TEST_F(MapCommandsTest, ChoosesIovasAsLinuxDoes) {
  auto* const aligned = memory(4 << 20);
  auto const two_megabytes = (std::bit_cast<std::uint64_t>(aligned) + (2 << 20) - 1) & ~std::uint64_t{(2 << 20) - 1};
  auto const anywhere = [&](std::uint64_t address, std::uint64_t length) {
    auto arguments = map_of(id_, std::bit_cast<void*>(address), length, 0, read_write);
    EXPECT_EQ(call(IOMMU_IOAS_MAP, arguments), 0);
    return arguments.iova;
  };
  EXPECT_EQ(anywhere(two_megabytes, 2 << 20), std::uint64_t{2 << 20});
  EXPECT_EQ(anywhere(two_megabytes, page), page);
  EXPECT_EQ(anywhere(two_megabytes + page, 4 * page), 2 * page) << "no better aligned than the memory";
  EXPECT_EQ(anywhere(two_megabytes + 0x123, 1), 0x6123u);
  EXPECT_EQ(anywhere(0, 1 << 20), std::uint64_t{1 << 20}) << "memory at 0 is aligned as the length is";
  ASSERT_EQ(unmap(id_, 0, largest), 0);
  attach();
  EXPECT_EQ(map_with(map_of(id_, data_ + 0x800, page, 0, read_write)), EINVAL);
}

TEST_F(MapCommandsTest, AReplyThatCannotBeWrittenLeavesTheMapping) {
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(map(id_, data_, page, 0x10000), EFAULT);
  EXPECT_EQ(ioas(id_)->space().areas(Range::all())->size(), 1u);
  EXPECT_EQ(unmap(id_, 0x10000, page), EFAULT);
  EXPECT_TRUE(ioas(id_)->space().areas(Range::all())->empty());
}

TEST_F(MapCommandsTest, UnmapFindsWhatIsWrongInLinuxOrder) {
  EXPECT_EQ(unmap(99, largest, largest), ENOENT);
  EXPECT_EQ(unmap(id_, 0, largest), 0) << "all of nothing";
  EXPECT_EQ(unmap(id_, largest, 0), EOVERFLOW);
  EXPECT_EQ(unmap(id_, 1, largest), EOVERFLOW);
  EXPECT_EQ(unmap(id_, 0x1000, 0), EINVAL);
  EXPECT_EQ(unmap(id_, largest - 1, 3), EOVERFLOW);
  EXPECT_EQ(unmap(id_, 0x1000, page), ENOENT);
}

TEST_F(MapCommandsTest, UnmapsWholeAreasAndSaysHowMuchTheyWere) {
  std::uint64_t unmapped = 0;
  for (std::uint64_t const iova : {0x10000, 0x12000, 0x18000}) ASSERT_EQ(map(id_, data_, 2 * page, iova), 0);
  EXPECT_EQ(unmap(id_, 0x10000, page), ENOENT);
  EXPECT_EQ(unmap(id_, 0x11000, 9 * page), ENOENT);
  EXPECT_EQ(ioas(id_)->space().areas(Range::all())->size(), 3u);
  EXPECT_EQ(unmap(id_, 0xf000, 7 * page, &unmapped), 0);
  EXPECT_EQ(unmapped, 4 * page) << "without the holes";
  EXPECT_EQ(unmap(id_, 0, largest, &unmapped), 0);
  EXPECT_EQ(unmapped, 2 * page);
}

TEST_F(MapCommandsTest, WhatWasUnmappedBeforeAnErrorStaysSo) {
  for (std::uint64_t const iova : {0x10000, 0x12000}) ASSERT_EQ(map(id_, data_, 2 * page, iova), 0);
  std::uint64_t length = 0;
  EXPECT_EQ(unmap(id_, 0x10000, 3 * page, &length), ENOENT);
  EXPECT_EQ(length, 3 * page) << "not written back";
  auto const areas = *ioas(id_)->space().areas(Range::all());
  ASSERT_EQ(areas.size(), 1u);
  EXPECT_EQ(areas[0].iovas.start, 0x12000u);
}

TEST_F(MapCommandsTest, CopyFindsWhatIsWrongInLinuxOrder) {
  ASSERT_EQ(map(id_, data_, 2 * page, 0x10000), 0);
  EXPECT_EQ(copy(98, 99, largest, largest, largest, 8), EOPNOTSUPP);
  EXPECT_EQ(copy(98, 99, largest, 1, 1, 0), EOVERFLOW);
  EXPECT_EQ(copy(98, 99, 1, largest, 1, 0), EOVERFLOW);
  EXPECT_EQ(copy(98, 99, 1, 1, largest, 0), EOVERFLOW);
  EXPECT_EQ(copy(98, 99, 1, 0, 1, 0), EINVAL) << "no rights";
  EXPECT_EQ(copy(98, 99, 1, 0, 1), ENOENT);
  EXPECT_EQ(copy(98, id_, 0x10000, 0, 1), EINVAL);
  EXPECT_EQ(copy(98, id_, largest - 1, 3, 1), EOVERFLOW);
  EXPECT_EQ(copy(98, id_, 0x10000, page, 1), ENOENT) << "the target";
  EXPECT_EQ(copy(id_, id_, 0x10000, 3 * page, 0x20000), ENOENT) << "not all is mapped";
  EXPECT_EQ(copy(id_, id_, 0xf000, page, 0x20000), ENOENT);
  EXPECT_EQ(copy(id_, id_, 0x10000, 2 * page, 0x11000), EEXIST);
  EXPECT_EQ(copy(id_, id_, 0x10000, 2 * page, largest - page + 1), EOVERFLOW);
}

TEST_F(MapCommandsTest, CopiesPartsAndRowsOfAreas) {
  std::uint32_t const other = new_ioas();
  ASSERT_EQ(map(id_, data_, 2 * page, 0x10000), 0);
  ASSERT_EQ(map(id_, data_ + 8 * page, 2 * page, 0x12000), 0);
  EXPECT_EQ(copy(other, id_, 0x10123, 0x2345, 0x777), 0) << "any byte, without a domain";
  EXPECT_EQ(ioas(other)->space().areas(Range::all())->size(), 2u);
  EXPECT_EQ(copy(other, id_, 0x13000, page, 0, read_write), 0);
  EXPECT_EQ(copied_to_, 0x3000u);
  auto const domain = attach();
  EXPECT_EQ(copy(id_, id_, 0x11000, 2 * page, 0x20000), 0);
  EXPECT_EQ(at(*domain, 0x21000), data_ + 8 * page);
  EXPECT_EQ(copy(id_, id_, 0x11800, page, 0x30000), EINVAL);
}

TEST_F(MapCommandsTest, ACopyMayNotWriteWhatTheOriginalCannot) {
  ASSERT_EQ(map_with(map_of(id_, data_, page, 0x10000, fixed | IOMMU_IOAS_MAP_READABLE)), 0);
  EXPECT_EQ(copy(id_, id_, 0x10000, page, 0x20000), EPERM);
  EXPECT_EQ(copy(id_, id_, 0x10000, page, 0x10000), EEXIST) << "the place comes first";
  EXPECT_EQ(copy(id_, id_, 0x10000, page, 0x20000, fixed | IOMMU_IOAS_MAP_READABLE), 0);
  ASSERT_EQ(map_with(map_of(id_, data_, page, 0x30000, fixed | IOMMU_IOAS_MAP_WRITEABLE)), 0);
  EXPECT_EQ(copy(id_, id_, 0x30000, page, 0x40000, fixed | IOMMU_IOAS_MAP_READABLE), 0) << "reading is not enforced";
}

TEST_F(MapCommandsTest, MapsFilesFromAnyByte) {
  int const file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(file, 4 * page), 0);
  ASSERT_EQ(::pwrite(file, "hello", 5, 2 * page + 0x10), 5);
  EXPECT_EQ(map_file(file, page + 0x800, page, 0, read_write), 0);
  EXPECT_EQ(mapped_at_, 0x1800u);
  ASSERT_EQ(unmap(id_, 0, largest), 0);
  auto const domain = attach();
  ASSERT_EQ(map_file(file, page, 2 * page, 0x10000), 0);
  ::close(file);
  EXPECT_EQ(std::memcmp(at(*domain, 0x11010), "hello", 5), 0);
}

TEST_F(MapCommandsTest, MapFileFindsWhatIsWrongInLinuxOrder) {
  EXPECT_EQ(map_file(-1, largest, largest, largest, 8), EOPNOTSUPP);
  EXPECT_EQ(map_file(-1, largest, 0, largest, 0), EOVERFLOW);
  EXPECT_EQ(map_file(-1, largest, largest, 0, 0), EOVERFLOW);
  EXPECT_EQ(map_file(-1, largest, 0, 0, 0), EINVAL);
  iommu_ioas_map_file arguments{
      .size = sizeof arguments, .flags = read_write, .ioas_id = 99, .fd = -1, .start = largest, .length = 0, .iova = 0};
  EXPECT_EQ(call(IOMMU_IOAS_MAP_FILE, arguments), ENOENT);
  EXPECT_EQ(map_file(-1, largest, 0, 0), EINVAL);
  EXPECT_EQ(map_file(-1, largest, 2, 0), EOVERFLOW);
  EXPECT_EQ(map_file(-1, 0, page, 0), EBADF);
}

TEST_F(MapCommandsTest, WhatAFileIsShowsWhenItIsPinned) {
  int const file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(file, 2 * page), 0);
  int const null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int const ordinary = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(map_file(file, 0, 3 * page, 0x10000), 0);
  EXPECT_EQ(map_file(null, 0, page, 0x20000), 0);
  EXPECT_EQ(map_file(ordinary, 0, page, 0x30000), 0);
  EXPECT_EQ(ioas(id_)->space().attach_domain(PagingDomain::create(engine_->host(), {}).value()).error().code, EINVAL);
  ASSERT_EQ(unmap(id_, 0, largest), 0);
  auto const domain = attach();
  EXPECT_EQ(map_file(file, 0, 2 * page + 1, 0x10000), EINVAL);
  EXPECT_EQ(map_file(file, 0, 3 * page, 0x10000), EINVAL);
  EXPECT_EQ(map_file(null, 0, page, 0x20000), EINVAL);
  EXPECT_EQ(map_file(ordinary, 0, page, 0x30000, fixed | IOMMU_IOAS_MAP_READABLE), EINVAL);
  EXPECT_EQ(map_file(file, 0, 2 * page, 0x10000), 0);
  ASSERT_EQ(unmap(id_, 0, largest), 0);
  ASSERT_EQ(::ftruncate(file, 0), 0);
  EXPECT_EQ(map_file(file, 0, 2 * page, 0x10000), EINVAL);
  for (int const each : {file, null, ordinary}) ::close(each);
}

}  // namespace
}  // namespace swiommu::iommufd
