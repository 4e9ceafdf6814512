#include <cstring>

#include "iommufd/selftest/selftest_fixture.h"

namespace swiommu::iommufd::selftest {
namespace {

class SelftestAccessTest : public SelftestFixture {
 protected:
  // The number of the item, or the errno negated.
  long pin(long access, std::uint64_t iova, std::uint64_t length, std::uint64_t address = 0, std::uint32_t flags = access_writes) {
    auto c = command(TestOperation::access_pages, static_cast<std::uint32_t>(access));
    c.access_pages = {.flags = flags, .out_item = 0, .iova = iova, .length = length, .address = address};
    long const result = test(c);
    return result == 0 ? static_cast<long>(c.access_pages.out_item) : result;
  }
  long unpin(long access, long item) {
    auto c = command(TestOperation::destroy_access_pages, static_cast<std::uint32_t>(access));
    c.destroy_item = static_cast<std::uint32_t>(item);
    return test(c);
  }
  long transfer(long access, std::uint64_t iova, void* data, std::uint64_t length, std::uint32_t flags) {
    auto c = command(TestOperation::access_transfer, static_cast<std::uint32_t>(access));
    c.access_transfer = {.iova = iova, .length = length, .address = std::bit_cast<std::uint64_t>(data), .flags = flags};
    return test(c);
  }
  long replace_ioas(long access, std::uint32_t ioas) {
    auto c = command(TestOperation::access_replace_ioas, static_cast<std::uint32_t>(access));
    c.replace_ioas_id = ioas;
    return test(c);
  }
};

TEST_F(SelftestAccessTest, AnAccessUsesItsIoasUntilItsDescriptorIsClosed) {
  std::uint32_t const space = ioas();
  long const made = access(space);
  ASSERT_GT(made, 0);
  EXPECT_EQ(destroy(space), -EBUSY);
  EXPECT_EQ(destroy(space + 1), -EBUSY);  // the access as an object
  close(made);
  EXPECT_EQ(destroy(space + 1), -ENOENT);
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(SelftestAccessTest, RefusesWhatItIsNot) {
  std::uint32_t const space = ioas();
  EXPECT_EQ(access(space, 2), -EOPNOTSUPP);
  EXPECT_EQ(access(space + 100), -ENOENT);
  EXPECT_EQ(pin(3, first_iova, page), -EBADFD);
  EXPECT_EQ(unpin(3, 0), -EBADFD);
  EXPECT_EQ(transfer(3, first_iova, nullptr, 1, 0), -EBADFD);
  EXPECT_EQ(replace_ioas(3, space), -EBADFD);
  caller_.most_descriptors = 0;
  EXPECT_EQ(access(space), -ENOMEM);
  caller_.most_descriptors = 10;
  caller_.memory_is_unwritable = true;
  EXPECT_EQ(access(space), -EFAULT);
  caller_.memory_is_unwritable = false;
  EXPECT_TRUE(caller_.files().empty());
  EXPECT_EQ(destroy(space), 0);
}

TEST_F(SelftestAccessTest, TheAccessKeepsTheIommufd) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(page);
  ASSERT_EQ(map(space, memory.address(), page, first_iova), 0);
  long const made = access(space);
  ASSERT_GE(pin(made, first_iova, page), 0);
  std::weak_ptr<OpenFile> const watched = file_;
  file_.reset();
  EXPECT_FALSE(watched.expired());
  close(made);
  EXPECT_TRUE(watched.expired());
}

TEST_F(SelftestAccessTest, PinsAsOftenAsAskedAndComparesThePages) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address(), memory.length(), first_iova), 0);
  long const made = access(space);
  EXPECT_EQ(pin(made, first_iova, memory.length(), memory.address()), 0);
  EXPECT_EQ(pin(made, first_iova, memory.length(), memory.address()), 1);
  EXPECT_EQ(unpin(made, 0), 0);
  EXPECT_EQ(unpin(made, 0), -ENOENT);
  EXPECT_EQ(unpin(made, 1), 0);
  EXPECT_EQ(pin(made, first_iova + 100, 10, memory.address() + 100), 2);
  EXPECT_EQ(pin(made, first_iova, page, memory.address() + page), -EBADE);
  EXPECT_EQ(pin(made, first_iova, 2 * page, memory.address() + 3 * page), -EBADE);
  EXPECT_EQ(pin(made, first_iova, page, 0x1000), -EFAULT);
  EXPECT_EQ(pin(made, first_iova + 3 * page, 2 * page), -ENOENT);
  EXPECT_EQ(pin(made, first_iova, 0), -EINVAL);
  EXPECT_EQ(pin(made, first_iova, (16 << 20) + 1), -ENOMEM);
  EXPECT_EQ(pin(made, first_iova, page, 0, 2), -EOPNOTSUPP);
  EXPECT_EQ(pin(access(space, 0), first_iova, page), -EOPNOTSUPP);
  // What failed has no number.
  EXPECT_EQ(pin(made, first_iova, page), 3);
  EXPECT_EQ(pin(made, std::uint64_t{5} << 32 | 0, page, 0, access_writes | access_nth_area), 4);
}

TEST_F(SelftestAccessTest, UnmappingTakesPinsBack) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address(), 2 * page, first_iova), 0);
  ASSERT_EQ(map(space, memory.address() + 2 * page, 2 * page, first_iova + 2 * page), 0);
  long const made = access(space);
  EXPECT_EQ(pin(made, first_iova, 4 * page), 0);
  EXPECT_EQ(pin(made, first_iova, page), 1);
  EXPECT_EQ(pin(made, first_iova + 2 * page, page), 2);
  EXPECT_EQ(unmap(space, first_iova, 2 * page), 0);
  EXPECT_EQ(unpin(made, 0), -ENOENT);
  EXPECT_EQ(unpin(made, 1), -ENOENT);
  EXPECT_EQ(unpin(made, 2), 0);
}

TEST_F(SelftestAccessTest, CopiesToAndFromUnalignedMemory) {
  std::uint32_t const space = ioas();
  CallerMemory const memory(4 * page);
  ASSERT_EQ(map(space, memory.address() + 2048, 2 * page, first_iova), 0);
  long const made = access(space, 0);
  std::array<char, 100> bytes;
  bytes.fill('x');
  EXPECT_EQ(transfer(made, first_iova + 2000, bytes.data(), bytes.size(), access_writes), 0);
  EXPECT_EQ(std::memcmp(memory.data() + 4048, bytes.data(), bytes.size()), 0);
  std::memset(memory.data() + 4048, 'y', bytes.size());
  EXPECT_EQ(transfer(made, first_iova + 2000, bytes.data(), bytes.size(), access_slowly), 0);
  EXPECT_EQ(bytes[0], 'y');
  EXPECT_EQ(bytes[99], 'y');
  EXPECT_EQ(transfer(made, first_iova + 2 * page - 50, bytes.data(), bytes.size(), 0), -ENOENT);
  EXPECT_EQ(transfer(made, first_iova, bytes.data(), bytes.size(), 2), -EOPNOTSUPP);
  EXPECT_EQ(transfer(made, first_iova, nullptr, 1, 0), -EFAULT);
  EXPECT_EQ(transfer(made, first_iova, nullptr, 1, access_writes), -EFAULT);
  EXPECT_EQ(transfer(made, first_iova, nullptr, 0, 0), -EINVAL);
  EXPECT_EQ(transfer(made, first_iova, bytes.data(), (16 << 20) + 1, 0), -ENOMEM);
}

TEST_F(SelftestAccessTest, MovesToAnotherIoasWithoutItsPins) {
  std::uint32_t const space = ioas(), other = ioas();
  CallerMemory const memory(page);
  ASSERT_EQ(map(space, memory.address(), page, first_iova), 0);
  long const made = access(space);
  EXPECT_EQ(pin(made, first_iova, page), 0);
  EXPECT_EQ(replace_ioas(made, other + 100), -ENOENT);
  EXPECT_EQ(replace_ioas(made, space), 0);
  EXPECT_EQ(unpin(made, 0), 0);
  EXPECT_EQ(pin(made, first_iova, page), 1);
  EXPECT_EQ(replace_ioas(made, other), 0);
  EXPECT_EQ(unpin(made, 1), -ENOENT);
  EXPECT_EQ(destroy(space), 0);
  EXPECT_EQ(destroy(other), -EBUSY);
  EXPECT_EQ(pin(made, first_iova, page), -ENOENT);
}

}  // namespace
}  // namespace swiommu::iommufd::selftest
