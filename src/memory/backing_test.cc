#include "swiommu/memory/backing.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace swiommu {
namespace {

class BackingTest : public testing::Test {
 protected:
  std::unique_ptr<HostAddressSpace> space_ = *HostAddressSpace::create(std::uint64_t{4} << 30);
};

// Some pages with chosen rights, unmapped at the end.
struct Area {
  explicit Area(std::uint64_t size, int rights = PROT_READ | PROT_WRITE)
      : length(size), data(static_cast<std::byte*>(::mmap(nullptr, size, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
  ~Area() { ::munmap(data, length); }
  Area(Area const&) = delete;
  Area& operator=(Area const&) = delete;

  [[nodiscard]] unsigned resident_pages() const {
    std::vector<unsigned char> pages(length / 4096);
    EXPECT_EQ(::mincore(data, length, pages.data()), 0);
    unsigned count = 0;
    for (unsigned char const page : pages) count += page & 1;
    return count;
  }

  std::uint64_t length;
  std::byte* data;
};

TEST_F(BackingTest, UsesMemoryOfAUserInPlace) {
  Area const area(0x4000);
  {
    auto const memory = UserMemory::create(*space_, area.data + 0x123, 0x2000, true);
    ASSERT_TRUE(memory);
    EXPECT_EQ((*memory)->page_offset(), 0x123u);
    EXPECT_EQ((*memory)->pages(), 3u);
    EXPECT_EQ(space_->pointer((*memory)->host_address(0x10)), area.data + 0x133);
    EXPECT_EQ(space_->locate((*memory)->host_address(0).value, Access::both()).length, 0x2000u);
  }
  EXPECT_FALSE(space_->locate(space_->address_of(area.data + 0x123).value, Access::reading()));
}

TEST_F(BackingTest, FaultsInThePagesThatAreAskedFor) {
  for (bool const writable : {false, true}) {
    Area const area(0x8000);
    auto const memory = UserMemory::create(*space_, area.data + 0x800, 0x7000, writable);
    EXPECT_TRUE((*memory)->fault_in(2, 4));
    if (writable) {
      EXPECT_EQ(area.resident_pages(), 3u);
    }
    EXPECT_TRUE((*memory)->fault_in(0, 7));
    EXPECT_EQ((*memory)->fault_in(7, 8).error().code, ERANGE);
    EXPECT_EQ((*memory)->fault_in(1, 0).error().code, ERANGE);
  }
}

TEST_F(BackingTest, LeavesContentsAlone) {
  Area const area(0x4000);
  for (std::uint64_t i = 0; i < area.length; ++i) area.data[i] = static_cast<std::byte>(i * 7);
  auto const memory = UserMemory::create(*space_, area.data, area.length, true);
  EXPECT_TRUE((*memory)->fault_in(0, 3));
  for (std::uint64_t i = 0; i < area.length; ++i) ASSERT_EQ(area.data[i], static_cast<std::byte>(i * 7));
}

TEST_F(BackingTest, SaysThatMemoryIsNotThere) {
  Area const area(0x4000);
  ::munmap(area.data + 0x2000, 0x1000);
  auto const memory = UserMemory::create(*space_, area.data, area.length, true);
  ASSERT_TRUE(memory) << "it need not be there before it is pinned";
  EXPECT_EQ((*memory)->fault_in(0, 3).error().code, EFAULT);
  EXPECT_EQ((*memory)->fault_in(2, 2).error().code, EFAULT);
  EXPECT_TRUE((*memory)->fault_in(0, 1));
  EXPECT_TRUE((*memory)->fault_in(3, 3));
}

TEST_F(BackingTest, SaysThatMemoryMayNotBeAccessed) {
  Area const area(0x3000, PROT_READ);
  ::mprotect(area.data + 0x2000, 0x1000, PROT_NONE);
  auto const readable = UserMemory::create(*space_, area.data, area.length, false);
  EXPECT_TRUE((*readable)->fault_in(0, 1));
  EXPECT_EQ((*readable)->fault_in(0, 2).error().code, EFAULT);
  auto const writable = UserMemory::create(*space_, area.data, area.length, true);
  EXPECT_EQ((*writable)->fault_in(0, 0).error().code, EFAULT);
}

TEST_F(BackingTest, RefusesPointersOfTheKernel) {
  auto* const pointer = reinterpret_cast<void*>(0xffff800000000000);
  auto const memory = UserMemory::create(*space_, pointer, 0x1000, false);
  ASSERT_TRUE(memory);
  EXPECT_EQ((*memory)->fault_in(0, 0).error().code, EFAULT);
}

TEST_F(BackingTest, SharesAMemfdOfItsOwn) {
  auto const memory = SharedMemory::create(*space_, 0x1801);
  ASSERT_TRUE(memory) << memory.error().message();
  EXPECT_EQ((*memory)->length(), 0x1801u);
  EXPECT_EQ((*memory)->pages(), 2u);
  EXPECT_TRUE((*memory)->fault_in(0, 1));
  space_->pointer((*memory)->host_address(0x1000))[1] = std::byte{7};
  void* const other = ::mmap(nullptr, 0x2000, PROT_READ, MAP_SHARED, (*memory)->descriptor(), 0);
  EXPECT_EQ(static_cast<std::byte*>(other)[0x1001], std::byte{7});
  ::munmap(other, 0x2000);
  EXPECT_EQ(::ftruncate((*memory)->descriptor(), 0), -1) << "it would take the pages away under DMA";
  EXPECT_EQ(SharedMemory::create(*space_, 0).error().code, EINVAL);
  EXPECT_EQ(SharedMemory::create(*space_, ~std::uint64_t{0}).error().code, EINVAL);
}

TEST_F(BackingTest, MapsPartOfAFile) {
  int const file = ::memfd_create("test", MFD_CLOEXEC);
  ASSERT_EQ(::ftruncate(file, 0x3800), 0);
  EXPECT_EQ(SharedMemory::map(*space_, file, 0x1000, 0x2801, true).error().code, EINVAL);
  EXPECT_EQ(SharedMemory::map(*space_, file, 0x4000, 1, true).error().code, EINVAL);
  EXPECT_EQ(SharedMemory::map(*space_, -1, 0, 1, true).error().code, EBADF);
  std::uint64_t address = 0;
  {
    auto const memory = SharedMemory::map(*space_, file, 0x1000, 0x2800, false);
    ASSERT_TRUE(memory);
    address = (*memory)->host_address(0).value;
    ASSERT_EQ(::pwrite(file, "x", 1, 0x1005), 1);
    EXPECT_EQ(*space_->pointer((*memory)->host_address(5)), std::byte{'x'});
    EXPECT_FALSE(space_->locate(address, Access::writing()));
    EXPECT_TRUE((*memory)->fault_in(0, 2));
    ASSERT_EQ(::ftruncate(file, 0x2000), 0);
    EXPECT_EQ((*memory)->fault_in(0, 2).error().code, EFAULT);
  }
  EXPECT_FALSE(space_->locate(address, Access::reading()));
  ::close(file);
}

// Large enough for the kernel to be asked what is absent: of 512 pages, one in three is there, one is the page of zeros.
class LargeUserMemory : public testing::Test {
 protected:
  static constexpr std::uint64_t pages = 512, length = pages * 4096;

  LargeUserMemory()
      : data_(static_cast<std::byte*>(::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    for (std::uint64_t page = 0; page < pages; page += 3) data_[page * 4096] = std::byte{7};
    zero_ = static_cast<std::byte const volatile*>(data_)[4096];
  }
  ~LargeUserMemory() override { ::munmap(data_, length); }

  int fault_in() {
    auto const memory = UserMemory::create(*space_, data_, length, true);
    auto const done = (*memory)->fault_in(0, pages - 1);
    return done ? 0 : done.error().code;
  }
  [[nodiscard]] std::uint64_t there() const {
    std::vector<unsigned char> present(pages);
    EXPECT_EQ(::mincore(data_, length, present.data()), 0);
    return static_cast<std::uint64_t>(std::ranges::count_if(present, [](unsigned char page) { return (page & 1) != 0; }));
  }

  std::unique_ptr<HostAddressSpace> space_ = std::move(*HostAddressSpace::create());
  std::byte* const data_;
  std::byte zero_{};
};

TEST_F(LargeUserMemory, WhatIsAbsentIsFaultedInAndWhatIsThereKeepsItsContents) {
  EXPECT_LT(there(), pages);
  EXPECT_EQ(fault_in(), 0);
  EXPECT_EQ(there(), pages);
  for (std::uint64_t page = 0; page < pages; page++) EXPECT_EQ(data_[page * 4096], page % 3 == 0 ? std::byte{7} : zero_) << page;
}

TEST_F(LargeUserMemory, AHoleInTheMiddleIsAnError) {
  ::munmap(data_ + 200 * 4096, 4096);
  EXPECT_EQ(fault_in(), EFAULT);
}

TEST_F(LargeUserMemory, AMappingInTheMiddleThatCannotBeWrittenToIsAnErrorThoughItsPagesAreThere) {
  ASSERT_EQ(fault_in(), 0);
  ASSERT_EQ(::mprotect(data_ + 200 * 4096, 4096, PROT_READ), 0);
  EXPECT_EQ(fault_in(), EFAULT);
}

}  // namespace
}  // namespace swiommu
