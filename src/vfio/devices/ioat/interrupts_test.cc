#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

struct IoatInterruptsTest : IoatTest {
  // Runs a descriptor that asks for an interrupt.
  void run(std::uint16_t control = chanctrl::interrupt_disabled) {
    start(chain, 1, control);
    ASSERT_TRUE(await(ChannelState::done));
    model->on_bus_master(false);  // what it has to do is done when this returns
    model->on_bus_master(true);
  }
  std::uint64_t const data = allocate(128), chain = ring(1, data, data + 64, 64, Descriptor::interrupt);
};

TEST_F(IoatInterruptsTest, EachChannelHasItsVector) {
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);
  for (channel = 0; channel < 2; channel++) {
    run();
    EXPECT_EQ(slot.raised(channel), 1u);
  }
  EXPECT_EQ(slot.raised(0), 1u);
  EXPECT_EQ(get<std::uint32_t>(offset::attnstatus), 0u);
  EXPECT_FALSE(slot.line);
}

TEST_F(IoatInterruptsTest, OneUntilTheNextIsAllowed) {
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);
  run(0);
  EXPECT_EQ(slot.raised(0), 1u) << "the first is allowed";
  EXPECT_EQ(get<std::uint16_t>(at(offset::chanctrl)) & 1, 1);
  run(0);
  EXPECT_EQ(slot.raised(0), 1u);
  set<std::uint16_t>(at(offset::chanctrl), 1);
  EXPECT_EQ(get<std::uint16_t>(at(offset::chanctrl)) & 1, 0);
  run(0);
  EXPECT_EQ(slot.raised(0), 2u);
}

TEST_F(IoatInterruptsTest, NoneUnlessTheDescriptorAsks) {
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);
  start(ring(1, data, data + 64, 64), 100);
  ASSERT_TRUE(await(ChannelState::done));
  EXPECT_EQ(slot.raised(0), 0u);
}

TEST_F(IoatInterruptsTest, OneVectorForAll) {
  set<std::uint8_t>(offset::intrctrl, intrctrl::master_enable);
  channel = 1;
  run();
  EXPECT_EQ(slot.raised(0), 1u);
  EXPECT_TRUE(slot.line);
  // What Linux' handler does.
  std::uint8_t const control = get<std::uint8_t>(offset::intrctrl);
  EXPECT_EQ(control, intrctrl::master_enable | intrctrl::status | intrctrl::asserted);
  EXPECT_FALSE(slot.line) << "reading it clears the enable";
  EXPECT_EQ(get<std::uint32_t>(offset::attnstatus), 2u);
  EXPECT_EQ(get<std::uint32_t>(offset::attnstatus), 0u) << "reading it clears it";
  set<std::uint8_t>(offset::intrctrl, control);
  EXPECT_FALSE(slot.line);
  run();
  EXPECT_EQ(slot.raised(0), 2u);
}

TEST_F(IoatInterruptsTest, OneThatComesMeanwhileIsSentWhenTheyAreEnabled) {
  run();
  EXPECT_EQ(slot.raised(0), 0u);
  EXPECT_FALSE(slot.line);
  EXPECT_EQ(get<std::uint8_t>(offset::intrctrl), intrctrl::status);
  set<std::uint8_t>(offset::intrctrl, intrctrl::master_enable);
  EXPECT_EQ(slot.raised(0), 1u);
  EXPECT_TRUE(slot.line);
  model->on_bus_master(false);
  model->reset();
  EXPECT_FALSE(slot.line);
}

}  // namespace
}  // namespace swiommu::vfio::ioat
