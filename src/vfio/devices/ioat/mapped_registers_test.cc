#include <random>

#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

// All of a driver's accesses go through a mapping: nothing calls the model.
struct IoatMappedTest : IoatTest {
  void SetUp() override {
    IoatTest::SetUp();
    map();
  }
  void TearDown() override {
    if (mapping != nullptr) unmap();
    IoatTest::TearDown();
  }
  // As the driver in the kernel's selftests does it.
  void initialise() {
    if (std::uint32_t const found = errors()) set<std::uint32_t>(at(offset::chanerr), found);
    reset_channel();
    set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);
    ASSERT_TRUE(await(ChannelState::armed)) << "so that the reset's state is not taken for an error";
  }
  ChannelState wait() {
    EXPECT_TRUE(eventually([&] { return state() == ChannelState::done || state() == ChannelState::halted; }));
    ChannelState const found = state();
    if (found == ChannelState::done) {
      command(chancmd::suspend);
      EXPECT_TRUE(await(ChannelState::suspended));
    }
    return found;
  }
  std::uint64_t const source = allocate(1 << 20), destination = allocate(1 << 20);
};

TEST_F(IoatMappedTest, ADriverNeedsNoCalls) {
  EXPECT_EQ(get<std::uint8_t>(offset::cbver), 0x33);
  EXPECT_EQ(get<std::uint8_t>(offset::xfercap), 20);
  for (int round = 0; round < 10; round++) initialise();
  std::uint64_t const chain = ring(1, source, destination, 1 << 16);
  for (unsigned round = 0; round < 200; round++) {
    fill(source, 1 << 16, round);
    start(chain, 1, chanctrl::interrupt_disabled | chanctrl::abort_on_any_error);  // the same values each time
    ASSERT_EQ(wait(), ChannelState::done);
    ASSERT_TRUE(same(source, destination, 1 << 16));
  }
  EXPECT_EQ(slot.raised(0), 0u);
}

TEST_F(IoatMappedTest, MessagesAndErrors) {
  initialise();
  std::uint64_t const good = ring(1, source, destination, 8, Descriptor::interrupt), bad = ring(1, nowhere, destination, page);
  for (unsigned round = 0; round < 10; round++) {
    start(good, 1, 9);
    ASSERT_EQ(wait(), ChannelState::done);
    ASSERT_TRUE(eventually([&] { return slot.raised(0) == round + 1; }));
    start(bad, 1, 9);
    ASSERT_EQ(wait(), ChannelState::halted);
    EXPECT_EQ(errors(), chanerr::read_data);
    initialise();
    EXPECT_EQ(errors(), 0u);
  }
}

TEST_F(IoatMappedTest, ALongChain) {
  initialise();
  start(ring(1, source, destination, 4096), 0xffff);
  ASSERT_EQ(wait(), ChannelState::done);
  start(ring(1, source, destination, 4096), 1);
  ASSERT_EQ(wait(), ChannelState::done);
}

TEST_F(IoatMappedTest, CountsGoOn) {
  initialise();
  std::uint64_t const chain = ring(64, source, destination, 16);
  std::mt19937 random(1);
  std::uint16_t count = 1;
  start(chain, count);
  for (unsigned total = 1; total < 200000;) {  // the count wraps
    ASSERT_TRUE(eventually([&] { return chansts() == ((chain + (total - 1) % 64 * 64) | 1); })) << total;
    unsigned more = 1 + random() % 500;
    if (static_cast<std::uint16_t>(count + more) == 0) more++;
    total += more;
    count = static_cast<std::uint16_t>(count + more);
    set<std::uint16_t>(at(offset::dmacount), count);
  }
}

TEST_F(IoatMappedTest, AnIdleEngineWakesUp) {
  initialise();
  for (int round = 0; round < 5; round++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that the threads have stopped spinning
    start(ring(1, source, destination, 64), 1);
    EXPECT_EQ(wait(), ChannelState::done);
  }
}

TEST_F(IoatMappedTest, AResetEndsALongChain) {
  for (int round = 0; round < 10; round++) {
    start(ring(1, source, destination, 1 << 20), 0xffff);
    ASSERT_TRUE(await(ChannelState::active));
    reset_channel();
    std::memset(memory->data(destination), 0xee, 1 << 20);
    for (int n = 0; n < 20; n++) std::this_thread::yield();
    EXPECT_EQ(memory->data(destination)[0], std::byte{0xee});
  }
}

TEST_F(IoatMappedTest, WhatIsOnlyReadComesBack) {
  set<std::uint8_t>(offset::chancnt, 9);
  set<std::uint8_t>(offset::cbver, 9);
  set<std::uint64_t>(at(offset::chansts), 0);
  EXPECT_TRUE(eventually([&] {
    return get<std::uint8_t>(offset::chancnt) == 2 && get<std::uint8_t>(offset::cbver) == 0x33 && state() == ChannelState::halted;
  }));
}

TEST_F(IoatMappedTest, CallsAndMappingsMix) {
  for (int round = 0; round < 20; round++) {
    round % 2 == 0 ? unmap() : map();
    start(ring(1, source, destination, 64), 1);
    ASSERT_EQ(wait(), ChannelState::done);
  }
}

TEST_F(IoatMappedTest, AFunctionResetShows) {
  initialise();
  start(ring(1, source, destination, 64), 1);
  ASSERT_EQ(wait(), ChannelState::done);
  model->on_bus_master(false);
  model->reset();
  model->on_bus_master(true);
  EXPECT_EQ(chansts(), 3u);
  start(ring(1, source, destination, 64), 1);
  EXPECT_TRUE(await(ChannelState::done));
}

TEST_F(IoatMappedTest, TheMemoryCannotBeShortenedAndOutlivesTheModel) {
  EXPECT_NE(::ftruncate(handle->descriptor(), 0), 0);
  EXPECT_EQ(model->map_bar(2).error().code, ENODEV);
  model.reset();
  EXPECT_EQ(get<std::uint8_t>(offset::cbver), 0x33);
}

TEST_F(IoatMappedTest, WhoMakesCallsOfAllAccessesIsNotLookedAt) {
  ASSERT_TRUE(handle->acts());
  handle->accessed_by_calls(true);
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);  // as if it were memory
  std::byte control{};
  model->read_bar(0, offset::intrctrl, std::span(&control, 1));
  EXPECT_EQ(control, std::byte{0});
  handle->accessed_by_calls(false);
  initialise();
  start(ring(1, source, destination, page), 1, 9);
  EXPECT_EQ(wait(), ChannelState::done);
}

}  // namespace
}  // namespace swiommu::vfio::ioat
