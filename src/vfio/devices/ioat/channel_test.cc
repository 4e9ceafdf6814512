#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

struct IoatChannelTest : IoatTest {
  std::uint64_t const source = allocate(1 << 20), destination = allocate(1 << 20), completion = allocate(8);
};

TEST_F(IoatChannelTest, Copies) {
  fill(source, 1 << 20);
  std::uint64_t const chain = ring(1, source, destination, 1 << 20);
  start(chain, 1);
  ASSERT_TRUE(await(ChannelState::done));
  EXPECT_TRUE(same(source, destination, 1 << 20));
  EXPECT_EQ(chansts(), chain | 1) << "the address of what was completed";
  EXPECT_EQ(get<std::uint64_t>(at(offset::cdar)), chain);
  EXPECT_EQ(get<std::uint16_t>(at(offset::dmacount)), 1);
  EXPECT_TRUE(slot.faults().empty());
}

TEST_F(IoatChannelTest, CopiesOddLengths) {
  for (std::uint32_t const bytes : {1u, 63u, 4095u, 32769u, 99999u}) {
    fill(source, 1 << 17, bytes);
    std::memset(memory->data(destination), 0, 1 << 18);
    start(ring(1, source + 3, destination + 5, bytes), 1);
    ASSERT_TRUE(await(ChannelState::done));
    EXPECT_TRUE(same(source + 3, destination + 5, bytes));
    EXPECT_EQ(memory->data(destination)[4], std::byte{0});
    EXPECT_EQ(memory->data(destination)[5 + bytes], std::byte{0});
  }
}

TEST_F(IoatChannelTest, RunsAsManyAsTheCountSays) {
  fill(source, 16 * 256);
  std::uint64_t const chain = ring(16, source, destination, 256);
  start(chain, 5);
  ASSERT_TRUE(await(ChannelState::done));
  EXPECT_EQ(chansts(), (chain + 4 * 64) | 1);
  EXPECT_TRUE(same(source, destination, 5 * 256));
  EXPECT_EQ(word(destination + 5 * 256), 0u);
  set<std::uint16_t>(at(offset::dmacount), 16);  // more of them
  ASSERT_TRUE(eventually([&] { return chansts() == ((chain + 15 * 64) | 1); }));
  EXPECT_TRUE(same(source, destination, 16 * 256));
  set<std::uint16_t>(at(offset::dmacount), 18);  // round the ring
  ASSERT_TRUE(eventually([&] { return chansts() == ((chain + 64) | 1); }));
}

TEST_F(IoatChannelTest, TheCountWraps) {
  std::uint64_t const chain = ring(1, source, destination, 8);
  start(chain, 0xfff0);
  ASSERT_TRUE(await(ChannelState::done));
  fill(source, 8);
  set<std::uint16_t>(at(offset::dmacount), 2);
  ASSERT_TRUE(eventually([&] { return same(source, destination, 8); }));
  ASSERT_TRUE(await(ChannelState::done));
}

TEST_F(IoatChannelTest, NullDescriptorsWriteTheirCompletion) {
  std::uint64_t const chain = allocate(64);
  put(chain, {.size = 1, .control = Descriptor::null | Descriptor::interrupt | Descriptor::completion_write, .next = chain});
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel | intrctrl::master_enable);
  set<std::uint32_t>(at(offset::chancmp), static_cast<std::uint32_t>(completion));
  set<std::uint32_t>(at(offset::chancmp) + 4, 0);
  start(chain, 1);
  ASSERT_TRUE(eventually([&] { return slot.raised(0) == 1; }));
  EXPECT_EQ(word(completion), chain | 1);
  EXPECT_TRUE(await(ChannelState::done));
}

TEST_F(IoatChannelTest, ACompletionSaysWhetherThereIsMore) {
  std::uint64_t const chain = ring(2, source, destination, 64, Descriptor::fence);
  put(chain,
      {.size = 64, .control = Descriptor::completion_write, .source = source, .destination = destination, .next = chain + 64});
  set<std::uint64_t>(at(offset::chancmp), completion);
  start(chain, 2);
  ASSERT_TRUE(await(ChannelState::done));
  EXPECT_EQ(word(completion), chain | 0);
}

TEST_F(IoatChannelTest, ChannelsAreIndependent) {
  fill(source, 1 << 20);
  std::uint64_t const chains[] = {ring(8, source, destination, 1 << 16),
                                  ring(8, source + (1 << 19), destination + (1 << 19), 1 << 16)};
  for (channel = 0; channel < 2; channel++) start(chains[channel], 8);
  for (channel = 0; channel < 2; channel++) ASSERT_TRUE(await(ChannelState::done));
  EXPECT_TRUE(same(source, destination, 1 << 20));
}

TEST_F(IoatChannelTest, SuspendedUntilAResumeOrAnotherChain) {
  std::uint64_t const chain = ring(1, source, destination, 1 << 16);
  start(chain, 0xffff);
  command(chancmd::suspend);
  ASSERT_TRUE(await(ChannelState::suspended));
  EXPECT_EQ(get<std::uint8_t>(at(offset::chancmd)), 0);
  std::memset(memory->data(destination), 0xee, 1 << 16);
  for (int n = 0; n < 20; n++) std::this_thread::yield();
  EXPECT_EQ(memory->data(destination)[0], std::byte{0xee}) << "DMA while suspended";
  command(chancmd::resume);
  ASSERT_TRUE(eventually([&] { return memory->data(destination)[0] == std::byte{0}; }));
  command(chancmd::suspend);
  ASSERT_TRUE(await(ChannelState::suspended));
  start(ring(1, source, destination, 64), 1);
  EXPECT_TRUE(await(ChannelState::done));
  command(chancmd::suspend);  // idle
  EXPECT_TRUE(await(ChannelState::suspended));
}

TEST_F(IoatChannelTest, AResetEndsAChain) {
  plug({.channels = 1, .largest_transfer_lg2 = 31});
  for (int round = 0; round < 20; round++) {
    start(ring(1, source, destination, 1 << 20), 0xffff);
    ASSERT_TRUE(await(ChannelState::active));
    reset_channel();
    std::memset(memory->data(destination), 0xee, 1 << 20);
    for (int n = 0; n < 20; n++) std::this_thread::yield();
    EXPECT_EQ(memory->data(destination)[0], std::byte{0xee});
    EXPECT_EQ(get<std::uint64_t>(at(offset::chainaddr)), 0u);
  }
}

TEST_F(IoatChannelTest, BusMasterHoldsItUp) {
  std::uint64_t const chain = ring(1, source, destination, 1 << 16);
  start(chain, 1000);
  slot.master = false;
  model->on_bus_master(false);
  std::memset(memory->data(destination), 0xee, 1 << 16);
  for (int n = 0; n < 20; n++) std::this_thread::yield();
  EXPECT_EQ(memory->data(destination)[0], std::byte{0xee});
  slot.master = true;
  model->on_bus_master(true);
  EXPECT_TRUE(await(ChannelState::done));
}

TEST_F(IoatChannelTest, PulledOutAndResetWhileItCopies) {
  for (int round = 0; round < 20; round++) {
    start(ring(1, source, destination, 1 << 20), 0xffff);
    ASSERT_TRUE(await(ChannelState::active));
    if (round % 2 == 0) {
      model.reset();
      plug();
    } else {
      model->on_bus_master(false);
      model->reset();
      model->on_bus_master(true);
      EXPECT_EQ(state(), ChannelState::halted);
    }
    std::memset(memory->data(destination), 0xee, 1 << 20);
    for (int n = 0; n < 20; n++) std::this_thread::yield();
    EXPECT_EQ(memory->data(destination)[0], std::byte{0xee});
  }
}

}  // namespace
}  // namespace swiommu::vfio::ioat
