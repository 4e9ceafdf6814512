#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/device_range.h"
#include "swiommu/memory/host_address_space.h"

namespace swiommu {
namespace {

// A doorbell that remembers what was written, and that may be written only in its first half.
class Doorbell final : public DeviceRange {
 public:
  bool read(std::uint64_t offset, std::span<std::byte> to) override {
    std::ranges::fill(to, static_cast<std::byte>(offset));
    return true;
  }
  bool write(std::uint64_t offset, std::span<std::byte const> from) override {
    guards_seen = std::max(guards_seen, guards_held());
    if (offset >= 2048) return false;
    writes.emplace_back(offset, from.size());
    return true;
  }

  std::vector<std::pair<std::uint64_t, std::size_t>> writes;
  unsigned guards_seen = 0;
};

class DmaToADeviceRange : public testing::Test {
 protected:
  void SetUp() override {
    memory = std::move(*HostAddressSpace::create());
    range = *memory->place_device_range(4096, doorbell);
    host = *Host::create(memory);
    domain = *PagingDomain::create(*host, {.format = FormatName::vtd_second_stage});
    ASSERT_TRUE(domain->map({0x8000, 0x8fff}, HostAddress(range.start), {.access = Access::both()}));
    device = *Device::create(*host);
    ASSERT_TRUE(device->attach(domain));
    port = *device->open_port();
  }
  void TearDown() override {
    port.reset();
    memory->remove_device_range(range);
  }

  Doorbell doorbell;
  std::shared_ptr<HostAddressSpace> memory;
  Range range;
  std::optional<Host> host;
  std::shared_ptr<PagingDomain> domain;
  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
};

TEST_F(DmaToADeviceRange, CallsTheDeviceOutsideOfTheGuard) {
  std::uint32_t const message = 7;
  EXPECT_TRUE(port->write(Iova(0x8040), &message, sizeof message).ok());
  EXPECT_EQ(doorbell.writes, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0x40, 4}}));
  EXPECT_EQ(doorbell.guards_seen, 0u);
  std::byte byte{};
  EXPECT_TRUE(port->read(Iova(0x8012), &byte, 1).ok());
  EXPECT_EQ(byte, std::byte{0x12});
}

TEST_F(DmaToADeviceRange, IsAFaultWhereTheDeviceRefuses) {
  std::uint32_t const message = 7;
  DmaResult const result = port->write(Iova(0x8800), &message, sizeof message);
  ASSERT_TRUE(result.fault);
  EXPECT_EQ(result.fault->reason, Reason::output_unreachable);
  EXPECT_EQ(result.done, 0u);
  EXPECT_TRUE(doorbell.writes.empty());
}

TEST_F(DmaToADeviceRange, IsCopiedFromAndTo) {
  alignas(4096) static std::array<std::byte, 4096> words{};
  auto const place = memory->add_memory(words.data(), words.size(), true);
  ASSERT_TRUE(place);
  ASSERT_TRUE(domain->map({0x4000, 0x4fff}, *place, {.access = Access::both()}));
  EXPECT_TRUE(port->copy(Iova(0x8012), Iova(0x4000), 4).ok());
  EXPECT_EQ(words[0], std::byte{0x12});
  EXPECT_TRUE(port->copy(Iova(0x4000), Iova(0x8040), 4).ok());
  EXPECT_EQ(doorbell.writes, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0x40, 4}}));
  EXPECT_EQ(doorbell.guards_seen, 0u);
  DmaResult const refused = port->copy(Iova(0x4000), Iova(0x8800), 4);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault->access, Access::writing());
  ASSERT_TRUE(domain->unmap({0x4000, 0x4fff}));
  memory->remove_memory(words.data(), words.size(), true);
}

TEST_F(DmaToADeviceRange, EndsWhereTheMappingEnds) {
  std::vector<std::byte> data(64);
  EXPECT_TRUE(port->read(Iova(0x8fc0), data.data(), data.size()).ok());
  std::vector<std::byte> more(128);
  DmaResult const beyond = port->read(Iova(0x8fc0), more.data(), more.size());
  ASSERT_TRUE(beyond.fault);
  EXPECT_EQ(beyond.done, 64u);
  EXPECT_EQ(beyond.fault->reason, Reason::not_mapped);
  EXPECT_EQ(beyond.fault->iova, 0x9000u);
}

TEST_F(DmaToADeviceRange, CannotBeTranslatedInPlace) {
  Port::Guard const guard(*port);
  auto const chunk = port->translate(guard, Iova(0x8000), Access::writing());
  ASSERT_FALSE(chunk);
  EXPECT_EQ(chunk.error().reason, Reason::output_unreachable);
}

// A device whose answer takes until it is let go.
class SlowDevice final : public DeviceRange {
 public:
  bool read(std::uint64_t, std::span<std::byte>) override {
    entered = true;
    entered.notify_one();
    let_go.wait(false);
    left = true;
    return true;
  }
  bool write(std::uint64_t, std::span<std::byte const>) override { return false; }

  std::atomic<bool> entered = false, let_go = false, left = false;
};

TEST_F(DmaToADeviceRange, RemovalWaitsForTheCallsThatAreOnTheirWayAndUnmapDoesNot) {
  SlowDevice slow;
  Range const slow_range = *memory->place_device_range(4096, slow);
  ASSERT_TRUE(domain->map({0x20000, 0x20fff}, HostAddress(slow_range.start), {.access = Access::both()}));
  std::jthread const reader([&] {
    std::byte byte{};
    EXPECT_TRUE(port->read(Iova(0x20000), &byte, 1).ok());
  });
  slow.entered.wait(false);
  EXPECT_TRUE(slow.in_use());
  EXPECT_TRUE(domain->unmap({0x20000, 0x20fff}));
  EXPECT_FALSE(slow.left);
  std::atomic<bool> removed = false;
  std::jthread const remover([&] {
    memory->remove_device_range(slow_range);
    EXPECT_TRUE(slow.left) << "removed while a call was being made";
    removed = true;
  });
  while (memory->device_range(slow_range.start)) std::this_thread::yield();  // from here on it waits for the call only
  EXPECT_FALSE(removed);
  slow.let_go = true;
  slow.let_go.notify_one();
}

TEST_F(DmaToADeviceRange, IsNotHeldByATranslationThatFindsNoMemory) {
  {
    Port::Guard const guard(*port);
    EXPECT_FALSE(port->translate(guard, Iova(0x8000), Access::writing()));
  }
  EXPECT_FALSE(doorbell.in_use());
}

}  // namespace
}  // namespace swiommu
