#include "swiommu/memory/pin_ledger.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>

#include "swiommu/memory/file_memory.h"
#include "swiommu/memory/pinned_pages.h"

namespace swiommu {
namespace {

constexpr std::uint64_t page = 4096;

class PinLedgerTest : public testing::Test {
 protected:
  std::byte* memory(std::uint64_t pages, int flags, int descriptor = -1) {
    void* const data = ::mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, flags, descriptor, 0);
    EXPECT_NE(data, MAP_FAILED);
    return static_cast<std::byte*>(data);
  }
  std::shared_ptr<Pages> pages_at(std::byte* data, std::uint64_t pages) {
    return std::make_shared<Pages>(*UserMemory::create(*space_, data, pages * page, true));
  }
  // How often the page at an address of ours is pinned.
  std::uint64_t pins(void const* at) {
    auto const identity = MemoryMap::of(::getpid())->page_at(std::bit_cast<std::uint64_t>(at));
    EXPECT_TRUE(identity);
    return *space_->pins().pins(*identity);
  }
  std::unique_ptr<HostAddressSpace> space_ = *HostAddressSpace::create(std::uint64_t{1} << 30);
};

TEST_F(PinLedgerTest, CountsEachPagesObjectOnce) {
  std::byte* const data = memory(4, MAP_PRIVATE | MAP_ANONYMOUS);
  auto const a = pages_at(data, 4), b = pages_at(data + page, 3);
  EXPECT_EQ(pins(data), 0u);
  ASSERT_TRUE(a->pin(0, 1));
  ASSERT_TRUE(a->pin(1, 3));
  ASSERT_TRUE(b->pin(0, 0));
  EXPECT_EQ(pins(data), 1u);
  EXPECT_EQ(pins(data + page), 2u);
  EXPECT_EQ(pins(data + page + 17), 2u) << "any byte of it";
  EXPECT_EQ(pins(data + 2 * page), 1u);
  a->unpin(1, 3);
  EXPECT_EQ(pins(data + page), 2u);
  EXPECT_EQ(pins(data + 2 * page), 0u);
  a->unpin(0, 1);
  b->unpin(0, 0);
  EXPECT_EQ(pins(data + page), 0u);
  ::munmap(data, 4 * page);
}

TEST_F(PinLedgerTest, KnowsAFileBehindAllItsMappings) {
  int const memfd = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(memfd, 8 * page), 0);
  std::byte* const mapped = memory(8, MAP_SHARED, memfd);
  std::byte* const again = memory(8, MAP_SHARED, memfd);
  std::byte* const apart = memory(8, MAP_PRIVATE, memfd);
  Pages file(*FileMemory::create(*space_, memfd, 3 * page, 2 * page, true));
  auto const user = pages_at(again, 8);
  ASSERT_TRUE(file.pin(0, 1));
  ASSERT_TRUE(user->pin(4, 5));
  EXPECT_EQ(pins(mapped + 3 * page), 1u);
  EXPECT_EQ(pins(mapped + 4 * page), 2u);
  EXPECT_EQ(pins(mapped + 5 * page), 1u);
  EXPECT_EQ(pins(mapped + 6 * page), 0u);
  EXPECT_EQ(pins(apart + 4 * page), 0u) << "a private mapping has pages of its own";
  ::close(memfd);
  for (std::byte* const each : {mapped, again, apart}) ::munmap(each, 8 * page);
}

TEST_F(PinLedgerTest, SharedMemoryIsTheSameInAnotherProcess) {
  std::byte* const shared = memory(1, MAP_SHARED | MAP_ANONYMOUS);
  std::byte* const own = memory(1, MAP_PRIVATE | MAP_ANONYMOUS);
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  pid_t const child = ::fork();
  if (child == 0) {
    char wait = 0;
    ::close(pipe_ends[1]);
    [[maybe_unused]] auto const done = ::read(pipe_ends[0], &wait, 1);
    ::_exit(0);
  }
  auto const ours = MemoryMap::of(::getpid()), theirs = MemoryMap::of(child);
  ASSERT_TRUE(theirs);
  auto const at = [](auto const& map, std::byte* data) { return map->page_at(std::bit_cast<std::uint64_t>(data)); };
  EXPECT_EQ(at(ours, shared), at(theirs, shared));
  EXPECT_NE(at(ours, own), at(theirs, own));
  EXPECT_FALSE(ours->page_at(1));
  ::close(pipe_ends[1]);
  ::close(pipe_ends[0]);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(MemoryMap::of(child).error().code, ESRCH);
  ::munmap(shared, page);
  ::munmap(own, page);
}

TEST_F(PinLedgerTest, PagesOfOrdinaryMemoryAreSmall) {
  std::byte* const data = memory(1, MAP_PRIVATE | MAP_ANONYMOUS);
  EXPECT_EQ(page_size_lg2_at(::getpid(), std::bit_cast<std::uint64_t>(data)), 12u);
  ::munmap(data, page);
  void* const huge = ::mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  if (huge == MAP_FAILED) GTEST_SKIP() << "no huge pages are reserved";
  EXPECT_EQ(page_size_lg2_at(::getpid(), std::bit_cast<std::uint64_t>(huge)), 21u);
  ::munmap(huge, 2 << 20);
}

}  // namespace
}  // namespace swiommu
