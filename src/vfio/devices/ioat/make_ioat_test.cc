#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

TEST_F(IoatTest, IsWhatDriversLookFor) {
  auto const& identity = model->description().identity;
  EXPECT_EQ(identity.vendor, 0x8086);
  EXPECT_EQ(identity.device, 0x2021);
  EXPECT_EQ(model->description().msix.vectors, 2);
  EXPECT_EQ(get<std::uint8_t>(offset::chancnt), 2);
  EXPECT_EQ(get<std::uint8_t>(offset::xfercap), 20);
  EXPECT_EQ(get<std::uint8_t>(offset::cbver), 0x33);
  EXPECT_EQ(get<std::uint32_t>(offset::dmacapability), 0u) << "copies only";
  EXPECT_EQ(state(), ChannelState::halted);
}

TEST_F(IoatTest, OptionsHaveBounds) {
  for (IoatOptions const& options : std::initializer_list<IoatOptions>{{.channels = 0},
                                                                       {.channels = 32},
                                                                       {.channels = 1, .largest_transfer_lg2 = 11},
                                                                       {.channels = 1, .largest_transfer_lg2 = 32}})
    EXPECT_EQ(make_ioat(slot, options).error().code, EINVAL);
  plug({.channels = 31, .largest_transfer_lg2 = 31});
  EXPECT_EQ(get<std::uint16_t>(offset::chancnt), 31 << 8 | 31);
}

TEST_F(IoatTest, RegistersKeepWhatIsWritten) {
  set<std::uint16_t>(offset::intrdelay, 0xffff);
  EXPECT_EQ(get<std::uint16_t>(offset::intrdelay), 0x3fff) << "coalescing is not supported";
  set<std::uint8_t>(offset::chancnt, 7);
  EXPECT_EQ(get<std::uint8_t>(offset::chancnt), 2);
  set<std::uint32_t>(at(offset::chancmp), 0x12345678);
  set<std::uint32_t>(at(offset::chancmp) + 4, 0x9a);
  EXPECT_EQ(get<std::uint64_t>(at(offset::chancmp)), 0x9a12345678u);
  set<std::uint32_t>(at(offset::chainaddr), 0x12345640);
  set<std::uint32_t>(at(offset::chainaddr) + 4, 0x9a);
  EXPECT_EQ(get<std::uint64_t>(at(offset::chainaddr)), 0x9a12345640u);
  set<std::uint32_t>(at(offset::chanerrmsk), 0x30000);
  EXPECT_EQ(get<std::uint32_t>(at(offset::chanerrmsk)), 0x30000u);
  set<std::uint16_t>(at(offset::chanctrl), 0x001d);
  EXPECT_EQ(get<std::uint16_t>(at(offset::chanctrl)), 0x001c) << "interrupts are allowed";
  channel = 1;
  EXPECT_EQ(get<std::uint64_t>(at(offset::chancmp)), 0u) << "the other channel's";
}

TEST_F(IoatTest, AResetIsAsAtFirst) {
  std::uint64_t const data = allocate(2 * page);
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel);
  set<std::uint64_t>(at(offset::chancmp), data);
  start(ring(1, data, data + page, page), 1);
  ASSERT_TRUE(await(ChannelState::done));
  model->on_bus_master(false);
  model->reset();
  model->on_bus_master(true);
  EXPECT_EQ(chansts(), 3u);
  EXPECT_EQ(get<std::uint8_t>(offset::intrctrl), 0);
  for (auto const each : {offset::chainaddr, offset::chancmp, offset::cdar, offset::chanerr})
    EXPECT_EQ(get<std::uint64_t>(at(each)), 0u);
  EXPECT_EQ(get<std::uint8_t>(offset::cbver), 0x33);
  start(ring(1, data, data + page, page), 1);
  EXPECT_TRUE(await(ChannelState::done));
}

}  // namespace
}  // namespace swiommu::vfio::ioat
