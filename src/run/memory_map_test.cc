#include "run/memory_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace swiommu::run {
namespace {

TEST(RunMemoryMap, ALineSaysWhatIsMappedThere) {
  auto const range = parse_mapped_range("7f00-8000 rw-s 00001000 fd:0a 4711                       /dev/shm/a b (deleted)");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->start, 0x7f00u);
  EXPECT_EQ(range->end, 0x8000u);
  EXPECT_TRUE(range->readable && range->writable && !range->executable && range->shared);
  EXPECT_EQ(range->offset, 0x1000u);
  EXPECT_EQ(range->device, std::uint64_t{0xfd} << 32 | 0xa);
  EXPECT_EQ(range->inode, 4711u);
  EXPECT_EQ(range->name, "/dev/shm/a b (deleted)");
  auto const unnamed = parse_mapped_range("1000-2000 ---p 00000000 00:00 0 ");
  ASSERT_TRUE(unnamed);
  EXPECT_TRUE(!unnamed->readable && !unnamed->shared && unnamed->name.empty());
  for (char const* const other : {"", "1000", "1000-2000", "1000-2000 rw", "x-y rw-p 0 0:0 0", "1000-2000 rw-p 0 0 0"})
    EXPECT_FALSE(parse_mapped_range(other)) << other;
}

TEST(RunMemoryMap, FindsEveryMappingInOrder) {
  constexpr std::size_t length = 3 * 4096;
  void* const data = ::mmap(nullptr, length, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(data, MAP_FAILED);
  ASSERT_EQ(::mprotect(static_cast<char*>(data) + 4096, 4096, PROT_NONE), 0);
  MemoryMap map;
  std::uint64_t before = 0;
  unsigned found = 0;
  while (auto const range = map.next()) {
    EXPECT_GE(range->start, before);
    before = range->end;
    if (range->start < reinterpret_cast<std::uintptr_t>(data) || range->end > reinterpret_cast<std::uintptr_t>(data) + length)
      continue;
    EXPECT_TRUE(range->shared);
    EXPECT_EQ(range->readable, found++ != 1);
  }
  EXPECT_EQ(found, 3u);
  ::munmap(data, length);
}

}  // namespace
}  // namespace swiommu::run
