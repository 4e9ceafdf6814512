#include "swiommu/memory/file_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <limits>
#include <string>

#include "swiommu/memory/safe_copy.h"

namespace swiommu {
namespace {

constexpr std::uint64_t page = 4096;

class FileMemoryTest : public testing::Test {
 protected:
  FileMemoryTest() {
    EXPECT_EQ(::ftruncate(file_, 4 * page), 0);
    EXPECT_EQ(::pwrite(file_, "hello", 5, page + 0x234), 5);
  }
  ~FileMemoryTest() override { ::close(file_); }
  static int code(auto const& result) { return result ? 0 : result.error().code; }
  auto create(int descriptor, std::uint64_t offset, std::uint64_t length, bool writable = true) {
    return FileMemory::create(*space_, descriptor, offset, length, writable);
  }
  std::unique_ptr<HostAddressSpace> space_ = *HostAddressSpace::create(std::uint64_t{1} << 30);
  int const file_ = ::memfd_create("test", MFD_CLOEXEC);
};

TEST_F(FileMemoryTest, BeginsAtAnyByteAndOutlivesTheDescriptor) {
  int const copy = ::dup(file_);
  auto const memory = create(copy, page + 0x234, 2 * page).value();
  ::close(copy);
  EXPECT_EQ(memory->page_offset(), 0x234u);
  EXPECT_EQ(memory->length(), 2 * page);
  EXPECT_EQ(memory->pages(), 3u);
  EXPECT_EQ(memory->page_size_lg2(), 12u);
  EXPECT_FALSE(memory->in_place());
  ASSERT_TRUE(memory->fault_in(0, 2));
  EXPECT_EQ(std::memcmp(memory->pointer(0), "hello", 5), 0);
  std::memcpy(memory->pointer(0), "world", 5);
  char text[5] = {};
  EXPECT_EQ(::pread(file_, text, 5, page + 0x234), 5);
  EXPECT_EQ(std::memcmp(text, "world", 5), 0);
}

TEST_F(FileMemoryTest, AFileThatMayNotBeWrittenCannotBePinnedForWritingAndTakesNoRoomForever) {
  int const sealed = ::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ASSERT_EQ(::ftruncate(sealed, 4 * page), 0);
  ASSERT_EQ(::fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
  int const read_only = ::open(("/proc/self/fd/" + std::to_string(file_)).c_str(), O_RDONLY | O_CLOEXEC);
  std::uint64_t const most = space_->reserve().length() / 2;
  for (int const descriptor : {sealed, read_only}) {
    for (int round = 0; round < 4; ++round) {  // of which the reserve could not hold all at once
      auto const memory = create(descriptor, 0, most).value();
      EXPECT_EQ(code(memory->fault_in(0, 0)), EINVAL);
    }
    EXPECT_TRUE(create(descriptor, 0, page, false).value()->fault_in(0, 0)) << "reading is allowed";
  }
  EXPECT_TRUE(create(file_, 0, most));
  ::close(sealed);
  ::close(read_only);
}

TEST_F(FileMemoryTest, AShortFileShowsWhenItIsPinned) {
  auto const memory = create(file_, 2 * page, 4 * page).value();
  EXPECT_TRUE(memory->fault_in(0, 1));
  EXPECT_EQ(code(memory->fault_in(0, 2)), EINVAL);
  ASSERT_EQ(::ftruncate(file_, 6 * page), 0);
  EXPECT_TRUE(memory->fault_in(0, 3));
  ASSERT_EQ(::ftruncate(file_, 3 * page + 1), 0);
  EXPECT_EQ(code(memory->fault_in(1, 1)), EINVAL) << "whole pages only";
  ASSERT_EQ(::ftruncate(file_, 0), 0);
  EXPECT_EQ(code(memory->fault_in(0, 0)), EINVAL);
  std::byte out[8];
  EXPECT_FALSE(copy_from_doubtful(memory->pointer(0), out)) << "no crash";
  EXPECT_FALSE(copy_to_doubtful(memory->pointer(0), out));
}

TEST_F(FileMemoryTest, WhatCannotBePinnedIsTakenAtFirst) {
  int const null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  int const program = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  for (int const each : {null, program, ends[0]}) {
    for (bool const writable : {false, true}) {
      auto const memory = create(each, 0, 2 * page, writable);
      ASSERT_TRUE(memory) << each << memory.error().about;
      EXPECT_EQ(code((*memory)->fault_in(0, 0)), EINVAL);
    }
  }
  for (int const each : {null, program, ends[0], ends[1]}) ::close(each);
}

TEST_F(FileMemoryTest, RefusesWhatIsNoFileAndNoPlace) {
  EXPECT_EQ(code(create(-1, 0, page)), EBADF);
  EXPECT_EQ(code(create(file_, std::numeric_limits<off_t>::max(), page)), EOVERFLOW);
  EXPECT_EQ(code(create(file_, ~std::uint64_t{0}, 1)), EOVERFLOW);
  EXPECT_EQ(code(create(file_, 0, std::uint64_t{1} << 40)), ENOSPC) << "more than there are host addresses";
}

TEST(SafeCopy, CopiesWhatIsThereAndRefusesWhatIsNot) {
  auto* const data =
      static_cast<std::byte*>(::mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  std::byte out[16] = {}, in[16];
  std::memset(in, 7, sizeof in);
  EXPECT_TRUE(copy_to_doubtful(data + page - 8, in));
  EXPECT_TRUE(copy_from_doubtful(data + page - 8, out));
  EXPECT_EQ(std::memcmp(in, out, sizeof in), 0);
  ::mprotect(data + page, page, PROT_READ);
  EXPECT_FALSE(copy_to_doubtful(data + page - 8, in));
  EXPECT_TRUE(copy_from_doubtful(data + page - 8, out));
  ::munmap(data + page, page);
  EXPECT_FALSE(copy_from_doubtful(data + page - 8, out));
  EXPECT_FALSE(copy_from_doubtful(nullptr, out));
  EXPECT_FALSE(copy_to_doubtful(nullptr, in));
  EXPECT_TRUE(copy_from_doubtful(nullptr, {})) << "nothing is everywhere";
  ::munmap(data, page);
  ::munmap(data + 2 * page, page);
}

}  // namespace
}  // namespace swiommu
