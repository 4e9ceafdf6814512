#include "vfio/devices/ioat/ioat_fixture.h"

namespace swiommu::vfio::ioat {
namespace {

struct IoatErrorsTest : IoatTest {
  // The only descriptor of a chain, as it should not be.
  void expect_error(Descriptor const& descriptor, std::uint32_t error) {
    put(chain, descriptor);
    start(chain, 1);
    ASSERT_TRUE(await(ChannelState::halted));
    EXPECT_EQ(errors(), error);
    EXPECT_EQ(chansts(), 3u) << "nothing was completed";
    set<std::uint32_t>(at(offset::chanerr), errors());
    EXPECT_EQ(errors(), 0u);
    reset_channel();
  }
  std::uint64_t const chain = allocate(64), source = allocate(4 * page), destination = allocate(4 * page),
                      completion = allocate(8);
  Descriptor const good{.size = page, .source = source, .destination = destination, .next = chain};
};

TEST_F(IoatErrorsTest, FaultsOfData) {
  Descriptor bad = good;
  bad.source = nowhere;
  expect_error(bad, chanerr::read_data);
  ASSERT_EQ(slot.faults().size(), 1u);
  EXPECT_EQ(slot.faults()[0].iova, nowhere);
  EXPECT_FALSE(slot.faults()[0].access.write);
  bad = good;
  bad.destination = nowhere;
  expect_error(bad, chanerr::write_data);
  ASSERT_EQ(slot.faults().size(), 2u);
  EXPECT_TRUE(slot.faults()[1].access.write);
  start(chain, 0);
  put(chain, good);
  fill(source, page);
  start(chain, 1);
  ASSERT_TRUE(await(ChannelState::done));
  EXPECT_TRUE(same(source, destination, page));
}

TEST_F(IoatErrorsTest, FaultsInTheMiddle) {
  std::uint64_t const end = memory->bytes();
  expect_error({.size = 64 << 10, .source = end - page, .destination = destination}, chanerr::read_data);
  EXPECT_EQ(slot.faults().at(0).iova, end);
}

TEST_F(IoatErrorsTest, FaultsOfDescriptors) {
  start(nowhere, 1);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(errors(), chanerr::chain_address);
  reset_channel();
  EXPECT_EQ(errors(), 0u);
  Descriptor last = good;
  last.next = nowhere;
  put(chain, last);
  start(chain, 2);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(errors(), chanerr::next_address);
  EXPECT_EQ(chansts(), chain | 3) << "the first was completed";
  EXPECT_EQ(get<std::uint64_t>(at(offset::cdar)), nowhere);
}

TEST_F(IoatErrorsTest, Alignment) {
  start(chain + 8, 1);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(errors(), chanerr::chain_address);
  reset_channel();
  Descriptor last = good;
  last.next = chain + 32;
  put(chain, last);
  start(chain, 2);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(errors(), chanerr::next_alignment);
  EXPECT_TRUE(slot.faults().empty());
}

TEST_F(IoatErrorsTest, Descriptors) {
  Descriptor bad = good;
  bad.size = 0;
  expect_error(bad, chanerr::length);
  bad.size = (1 << 20) + 1;
  expect_error(bad, chanerr::length);
  bad.size = 0;
  bad.control = Descriptor::null;
  expect_error(bad, chanerr::length);
  bad = good;
  bad.control = 0x87u << 24;
  expect_error(bad, chanerr::control);
  bad = good;
  bad.source = ~std::uint64_t{0} - 10;
  expect_error(bad, chanerr::source_address);
  bad = good;
  bad.destination = ~std::uint64_t{0} - 10;
  expect_error(bad, chanerr::destination_address);
  EXPECT_TRUE(slot.faults().empty());
}

TEST_F(IoatErrorsTest, CompletionsThatCannotBeWritten) {
  Descriptor completes = good;
  completes.control = Descriptor::completion_write;
  for (std::uint64_t const to : {nowhere, completion + 4}) {
    set<std::uint64_t>(at(offset::chancmp), to);
    expect_error(completes, chanerr::completion_address);
  }
}

TEST_F(IoatErrorsTest, TellIfAskedTo) {
  set<std::uint8_t>(offset::intrctrl, intrctrl::vector_per_channel | intrctrl::master_enable);
  set<std::uint64_t>(at(offset::chancmp), completion);
  Descriptor bad = good;
  bad.source = nowhere;
  put(chain, bad);
  start(chain, 1);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(word(completion), 0u);
  EXPECT_EQ(slot.raised(0), 0u);
  set<std::uint32_t>(at(offset::chanerr), errors());
  start(chain, 1, chanctrl::interrupt_disabled | chanctrl::error_completion | chanctrl::error_interrupt);
  EXPECT_TRUE(eventually([&] { return slot.raised(0) == 1; }));
  EXPECT_EQ(word(completion), 3u);
  ASSERT_TRUE(await(ChannelState::halted));
  set<std::uint32_t>(at(offset::chanerrmsk), chanerr::read_data);
  set<std::uint32_t>(at(offset::chanerr), errors());
  start(chain, 1, chanctrl::interrupt_disabled | chanctrl::error_interrupt);
  ASSERT_TRUE(await(ChannelState::halted));
  EXPECT_EQ(slot.raised(0), 1u) << "masked";
}

TEST_F(IoatErrorsTest, StandUntilTheyAreCleared) {
  Descriptor bad = good;
  bad.size = 0;
  put(chain, bad);
  start(chain, 1);
  ASSERT_TRUE(await(ChannelState::halted));
  put(chain, good);
  start(chain, 1);
  for (int n = 0; n < 20; n++) std::this_thread::yield();
  EXPECT_EQ(state(), ChannelState::halted);
  set<std::uint32_t>(at(offset::chanerr), errors());
  set<std::uint16_t>(at(offset::dmacount), 1);
  EXPECT_TRUE(await(ChannelState::done));
}

}  // namespace
}  // namespace swiommu::vfio::ioat
