#include "swiommu/memory/host_address_space.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

namespace swiommu {
namespace {

constexpr std::uint64_t mib = 1 << 20, gib = 1 << 30;

class Doorbell final : public DeviceRange {
 public:
  bool read(std::uint64_t, std::span<std::byte>) override { return false; }
  bool write(std::uint64_t, std::span<std::byte const>) override { return true; }
};

struct File {
  explicit File(std::uint64_t length) : descriptor(::memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(::ftruncate(descriptor, static_cast<off_t>(length)), 0);
  }
  ~File() { ::close(descriptor); }
  File(File const&) = delete;
  File& operator=(File const&) = delete;
  int descriptor;
};

class HostAddressSpaceTest : public testing::Test {
 protected:
  std::unique_ptr<HostAddressSpace> space_ = *HostAddressSpace::create(64 * gib);
  Doorbell doorbell_;
  alignas(4096) std::byte memory_[0x3000] = {};
};

TEST_F(HostAddressSpaceTest, ReachesEveryPointerByOneAddition) {
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(space_->pointer(HostAddress(0))) % gib, 0u);
  int on_stack = 0;
  for (void* const pointer : {static_cast<void*>(&on_stack), static_cast<void*>(memory_), static_cast<void*>(space_.get())})
    EXPECT_EQ(space_->pointer(space_->address_of(pointer)), pointer);
  // Below the base the addition wraps.
  auto* const low = space_->pointer(HostAddress(0)) - 0x1000;
  EXPECT_EQ(space_->address_of(low).value, 0xfffffffffffff000);
  EXPECT_EQ(space_->pointer(HostAddress(0xfffffffffffff000)), low);
}

TEST_F(HostAddressSpaceTest, MapsFilesLowAndCongruentToTheirOffset) {
  File const file(6 * mib);
  for (std::uint64_t const offset : {std::uint64_t{0}, 1 * mib + 0x3000, 3 * mib}) {
    std::uint64_t const length = 2 * mib + 0x1000;
    auto const address = space_->map_shared(file.descriptor, offset, length, true);
    ASSERT_TRUE(address) << address.error().message();
    EXPECT_GE(address->value, 4096u);
    EXPECT_LT(address->value, 64 * mib);
    EXPECT_EQ((address->value - offset) % (2 * mib), 0u);
    std::byte value{42};
    EXPECT_EQ(space_->write(address->value + 0x1234, &value, 1), 1u);
    std::byte seen{};
    EXPECT_EQ(::pread(file.descriptor, &seen, 1, static_cast<off_t>(offset + 0x1234)), 1);
    EXPECT_EQ(seen, value);
    Chunk const chunk = space_->locate(address->value, Access::both());
    EXPECT_EQ(chunk.data, space_->pointer(*address));
    EXPECT_EQ(chunk.length, length);
    space_->unmap_shared(*address, length, true);
    EXPECT_FALSE(space_->locate(address->value, Access::reading()));
  }
}

TEST_F(HostAddressSpaceTest, KeepsLargeFilesCongruentModulo1GiB) {
  File const file(3 * gib);
  auto const address = space_->map_shared(file.descriptor, gib + 0x5000, gib + 0x1000, false);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->value % gib, 0x5000u);
  space_->unmap_shared(*address, gib + 0x1000, false);
}

TEST_F(HostAddressSpaceTest, UsesPlaceAgain) {
  File const file(0x1000);
  auto const first = space_->map_shared(file.descriptor, 0, 0x1000, true);
  auto const second = space_->map_shared(file.descriptor, 0, 0x1000, true);
  EXPECT_NE(first->value, second->value);
  space_->unmap_shared(*first, 0x1000, true);
  EXPECT_EQ(*space_->map_shared(file.descriptor, 0, 0x1000, true), *first);
  space_->unmap_shared(*first, 0x1000, true);
  space_->unmap_shared(*second, 0x1000, true);
}

TEST_F(HostAddressSpaceTest, NeverHandsOutTheInterruptRangeOrPage0) {
  File const file(gib);
  std::vector<HostAddress> addresses;
  for (int i = 0; i < 8; ++i) addresses.push_back(*space_->map_shared(file.descriptor, 0, 0x3ff00000, true));
  for (HostAddress const address : addresses) {
    Range const range{address.value, address.value + 0x3ff00000 - 1};
    EXPECT_FALSE(range.overlaps(x86_interrupt_range));
    EXPECT_FALSE(range.overlaps({0, 4095}));
    space_->unmap_shared(address, 0x3ff00000, true);
  }
  EXPECT_FALSE(space_->locate(0xfee00000, Access::reading()));
  EXPECT_FALSE(space_->locate(0, Access::reading()));
}

TEST_F(HostAddressSpaceTest, RefusesWhatCannotBeMapped) {
  File const file(0x2000);
  EXPECT_EQ(space_->map_shared(file.descriptor, 0, 0, true).error().code, EINVAL);
  EXPECT_EQ(space_->map_shared(file.descriptor, 1, 0x1000, true).error().code, EINVAL);
  EXPECT_EQ(space_->map_shared(file.descriptor, 0, 64 * gib, true).error().code, ENOSPC);
  EXPECT_EQ(space_->map_shared(file.descriptor, 0, ~std::uint64_t{0}, true).error().code, EINVAL);
  EXPECT_EQ(space_->map_shared(-1, 0, 0x1000, true).error().code, EBADF);
  int const read_only = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(space_->map_shared(read_only, 0, 0x1000, true).error().code, EACCES);
  // Nothing of it stays registered, and the place is free.
  EXPECT_FALSE(space_->locate(0x1000, Access::reading()));
  EXPECT_EQ(space_->map_shared(read_only, 0, 0x1000, false)->value, 0x1000u);
  EXPECT_TRUE(space_->locate(0x1000, Access::reading()));
  EXPECT_FALSE(space_->locate(0x1000, Access::writing()));
  space_->unmap_shared(HostAddress(0x1000), 0x1000, false);
  ::close(read_only);
}

TEST_F(HostAddressSpaceTest, LocatesOnlyRegisteredMemory) {
  std::uint64_t const start = space_->address_of(memory_).value;
  EXPECT_FALSE(space_->locate(start, Access::reading()));
  ASSERT_TRUE(space_->add_memory(memory_ + 0x10, 0x1000, false));
  EXPECT_FALSE(space_->locate(start + 0xf, Access::reading()));
  EXPECT_FALSE(space_->locate(start + 0x10, Access::writing()));
  EXPECT_EQ(space_->locate(start + 0x10, Access::reading()).data, memory_ + 0x10);
  EXPECT_EQ(space_->locate(start + 0x100f, Access::reading()).length, 1u);
  EXPECT_FALSE(space_->locate(start + 0x1010, Access::reading()));
  space_->remove_memory(memory_ + 0x10, 0x1000, false);
  EXPECT_FALSE(space_->locate(start + 0x10, Access::reading()));
}

TEST_F(HostAddressSpaceTest, CountsRegistrationsOfTheSameMemory) {
  std::uint64_t const start = space_->address_of(memory_).value;
  ASSERT_TRUE(space_->add_memory(memory_, 0x2000, true));
  ASSERT_TRUE(space_->add_memory(memory_ + 0x1004, 0x1000, false));
  space_->remove_memory(memory_, 0x2000, true);
  EXPECT_FALSE(space_->locate(start + 0x1003, Access::reading()));
  EXPECT_TRUE(space_->locate(start + 0x1004, Access::reading()));
  EXPECT_FALSE(space_->locate(start + 0x1004, Access::writing()));
  space_->remove_memory(memory_ + 0x1004, 0x1000, false);
}

TEST_F(HostAddressSpaceTest, GivesWordsAcrossTwoRegistrations) {
  std::uint64_t const start = space_->address_of(memory_).value;
  std::uint64_t const value = 0x1122334455667788;
  std::memcpy(memory_ + 0x1000, &value, sizeof value);
  ASSERT_TRUE(space_->add_memory(memory_, 0x1003, true));
  ASSERT_TRUE(space_->add_memory(memory_ + 0x1003, 0x800, true));
  EXPECT_EQ(space_->load_word(start + 0x1000), value);
  space_->remove_memory(memory_, 0x1003, true);
  space_->remove_memory(memory_ + 0x1003, 0x800, true);
}

TEST_F(HostAddressSpaceTest, RefusesMemoryThatCannotBe) {
  EXPECT_EQ(space_->add_memory(memory_, 0, true).error().code, EINVAL);
  EXPECT_EQ(space_->add_memory(memory_, 0 - reinterpret_cast<std::uintptr_t>(memory_) + 1, true).error().code, EINVAL);
  EXPECT_EQ(space_->add_memory(space_->pointer(HostAddress(0x5000)), 0x1000, true).error().code, EINVAL);
  EXPECT_EQ(space_->add_memory(space_->pointer(HostAddress(0)) - 1, 2, true).error().code, EINVAL);
}

TEST_F(HostAddressSpaceTest, FindsDeviceRanges) {
  Range const msi{0x8090000, 0x8090fff};
  ASSERT_TRUE(space_->add_device_range(msi, doorbell_));
  ASSERT_TRUE(space_->add_device_range(x86_interrupt_range, doorbell_));
  EXPECT_EQ(space_->device_range(0x8090040).device(), &doorbell_);
  EXPECT_EQ(space_->device_range(0x8090040).range(), msi);
  EXPECT_FALSE(space_->device_range(0x8091000));
  EXPECT_FALSE(space_->locate(0x8090040, Access::writing()));
  auto const bar = space_->place_device_range(0x3000, doorbell_);
  ASSERT_TRUE(bar);
  EXPECT_EQ(*bar, (Range{0x4000, 0x6fff}));

  File const file(256 * mib);
  auto const memory = space_->map_shared(file.descriptor, 0, 256 * mib, true);
  for (Range const taken : {msi, *bar}) EXPECT_FALSE((Range{memory->value, memory->value + 256 * mib - 1}.overlaps(taken)));
  EXPECT_EQ(space_->add_device_range({memory->value, memory->value}, doorbell_).error().code, EEXIST);
  space_->unmap_shared(*memory, 256 * mib, true);

  space_->remove_device_range(*bar);
  EXPECT_FALSE(space_->device_range(0x4000));
  EXPECT_TRUE(space_->add_device_range({0x6fff, 0x6fff}, doorbell_));
  for (Range const range : {msi, x86_interrupt_range, Range{0x6fff, 0x6fff}}) space_->remove_device_range(range);
}

TEST_F(HostAddressSpaceTest, RefusesDeviceRangesInTheWay) {
  ASSERT_TRUE(space_->add_device_range({0x10000, 0x1ffff}, doorbell_));
  EXPECT_EQ(space_->add_device_range({0x1ffff, 0x20000}, doorbell_).error().code, EEXIST);
  EXPECT_EQ(space_->add_device_range({0xfff, 0x1000}, doorbell_).error().code, EINVAL);
  EXPECT_EQ(space_->add_device_range({0xfeefffff, 0xfef00000}, doorbell_).error().code, EINVAL);
  EXPECT_EQ(space_->add_device_range({2, 1}, doorbell_).error().code, EINVAL);
  EXPECT_EQ(space_->place_device_range(0, doorbell_).error().code, EINVAL);
  EXPECT_EQ(space_->place_device_range(~std::uint64_t{0}, doorbell_).error().code, ENOSPC);
  // Outside the reserve the same rules hold for memory of a user.
  std::uint64_t const start = space_->address_of(memory_).value;
  ASSERT_TRUE(space_->add_device_range({start + 0x1000, start + 0x1000}, doorbell_));
  EXPECT_EQ(space_->add_memory(memory_, 0x1001, true).error().code, EEXIST);
  EXPECT_TRUE(space_->add_memory(memory_, 0x1000, true));
  space_->remove_memory(memory_, 0x1000, true);
}

TEST_F(HostAddressSpaceTest, TakesLessWhereTheSystemGrantsLess) {
  EXPECT_EQ((*HostAddressSpace::create(1))->reserve(), (Range{0, gib - 1}));
  EXPECT_EQ((*HostAddressSpace::create(5 * gib))->reserve(), (Range{0, 4 * gib - 1}));
  auto const second = HostAddressSpace::create(64 * gib);  // the first has the place that is wanted
  ASSERT_TRUE(second);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*second)->pointer(HostAddress(0))) % gib, 0u);
  ASSERT_TRUE(HostAddressSpace::create());
}

TEST_F(HostAddressSpaceTest, ObeysTheLimitOfAddressSpace) {
  pid_t const child = ::fork();
  if (child == 0) {
    std::uint64_t pages_in_use = 0;
    std::ifstream("/proc/self/statm") >> pages_in_use;
    rlim_t const most = pages_in_use * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + 40 * gib;
    rlimit const limit{most, most};
    ::setrlimit(RLIMIT_AS, &limit);
    auto const space = HostAddressSpace::create();
    ::_exit(space && (*space)->reserve().last == 32 * gib - 1 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(HostAddressSpaceTest, CanBeUsedByManyThreads) {
  File const file(0x10000);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        auto const address = space_->map_shared(file.descriptor, 0, 0x4000, true);
        ASSERT_TRUE(address);
        std::uint64_t const word = static_cast<std::uint64_t>(i);
        EXPECT_EQ(space_->write(address->value + 8 * word, &word, sizeof word), sizeof word);
        EXPECT_EQ(space_->load_word(address->value + 8 * word), word);
        EXPECT_FALSE(space_->device_range(address->value));
        space_->unmap_shared(*address, 0x4000, true);
      }
    });
  }
  threads.clear();
  EXPECT_FALSE(space_->locate(0x1000, Access::reading()));
}

}  // namespace
}  // namespace swiommu
