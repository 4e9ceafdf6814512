#include "vfio/devices/nvme/async_events.h"

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeAsyncEventsTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
  }
  std::uint16_t ask() { return submit(admin, command(AdminOpcode::asynchronous_event_request)); }
  Status abort(std::uint16_t queue, std::uint16_t id, std::uint32_t& result) {
    Command c = command(AdminOpcode::abort);
    c.cdw10 = static_cast<std::uint32_t>(id) << 16 | queue;
    Completion const completion = run(admin, c);
    result = completion.result;
    return status_of(completion);
  }
  void read_log(std::uint32_t which, bool retain = false) {
    Command c = command(AdminOpcode::get_log_page);
    c.cdw10 = 127 << 16 | (retain ? 1 << 15 : 0) | which;
    c.prp1 = place;
    EXPECT_EQ(admin_status(c), status::success);
  }
  // Commands are run in their order, so what an event would have completed has been by then.
  void expect_no_event() {
    Command const c = command(AdminOpcode::get_features);
    EXPECT_EQ(admin_status(c), status::invalid_field);
  }
  std::uint64_t const place = allocate();
};

TEST_F(NvmeAsyncEventsTest, RequestsWaitForAnEvent) {
  std::uint16_t const id = ask();
  expect_no_event();
  set(offset::doorbells + 8 * 5, 1);  // of no queue
  Completion const told = await(admin);
  EXPECT_EQ(told.command, id);
  EXPECT_EQ(status_of(told), status::success);
  EXPECT_EQ(told.result, 0x00010000u) << "an error, an invalid doorbell register, see log page 1";
}

TEST_F(NvmeAsyncEventsTest, EventsWaitForARequest) {
  auto queue = create_pair(1, 16);
  set(offset::doorbells + 8, 16);
  std::uint16_t const id = ask();
  Completion const told = await(admin);
  EXPECT_EQ(told.command, id);
  EXPECT_EQ(told.result, 0x00010100u) << "an invalid doorbell value";
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success) << "the doorbell is as it was";
}

TEST_F(NvmeAsyncEventsTest, AHeadBeyondTheTailIsNotBelieved) {
  auto queue = create_pair(1, 16);
  ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
  set(offset::doorbells + 8 + 4, 3);
  (void)ask();
  EXPECT_EQ(await(admin).result, 0x00010100u);
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
}

TEST_F(NvmeAsyncEventsTest, ATypeIsToldOnceUntilItsLogIsRead) {
  (void)ask();
  (void)ask();
  set(offset::doorbells + 8 * 5, 1);
  (void)await(admin);
  set(offset::doorbells + 8 * 5, 1);
  expect_no_event();
  read_log(1, true);
  expect_no_event();
  Command c = command(AdminOpcode::get_log_page);
  c.cdw10 = 127 << 16 | 1;
  c.prp1 = place;
  (void)submit(admin, c);
  Completion const first = await(admin), second = await(admin);
  EXPECT_EQ(status_of(first), status::success);
  EXPECT_EQ(first.result + second.result, 0x00010000u);
}

TEST_F(NvmeAsyncEventsTest, FourRequestsMayWait) {
  for (int n = 0; n < 4; n++) (void)ask();
  std::uint16_t const fifth = ask();
  Completion const refused = await(admin);
  EXPECT_EQ(refused.command, fifth);
  EXPECT_EQ(status_of(refused), status::too_many_event_requests);
}

TEST_F(NvmeAsyncEventsTest, RequestsCanBeAborted) {
  std::uint16_t const id = ask();
  Command c = command(AdminOpcode::abort);
  c.cdw10 = static_cast<std::uint32_t>(id) << 16;
  std::uint16_t const abort_id = submit(admin, c);
  Completion const aborted = await(admin), done = await(admin);
  EXPECT_EQ(aborted.command, id);
  EXPECT_EQ(status_of(aborted), status::abort_requested);
  EXPECT_EQ(done.command, abort_id);
  EXPECT_EQ(done.result, 0u);
}

TEST_F(NvmeAsyncEventsTest, WhatIsDoneCannotBeAborted) {
  std::uint32_t result = 0;
  EXPECT_EQ(abort(0, 0x7777, result), status::success);
  EXPECT_EQ(result, 1u);
  EXPECT_EQ(abort(3, 1, result), status::invalid_field) << "no such queue";
  (void)create_pair(3);
  EXPECT_EQ(abort(3, 1, result), status::success);
  EXPECT_EQ(result, 1u);
}

TEST_F(NvmeAsyncEventsTest, ATemperatureThresholdIsCrossedWhenItIsSet) {
  Command c = command(AdminOpcode::set_features);
  c.cdw10 = 0xb;
  c.cdw11 = 2;
  ASSERT_EQ(admin_status(c), status::success);
  c.cdw10 = 4;
  c.cdw11 = 300;
  ASSERT_EQ(admin_status(c), status::success);
  (void)ask();
  EXPECT_EQ(await(admin).result, 0x00020101u);
  read_log(2);
  EXPECT_EQ(*data<std::uint8_t>(place), 2) << "a critical warning";
}

TEST_F(NvmeAsyncEventsTest, AResetForgetsRequestsAndEvents) {
  (void)ask();
  expect_no_event();
  disable();
  enable();
  set(offset::doorbells + 8 * 5, 1);
  expect_no_event();
  (void)ask();
  EXPECT_EQ(await(admin).result, 0x00010000u);
}

TEST_F(NvmeAsyncEventsTest, LineInterruptsAreLevelTriggered) {
  EXPECT_FALSE(slot.line);
  (void)submit(admin, command(AdminOpcode::get_features));
  (void)take(admin);
  EXPECT_TRUE(eventually([&] { return slot.line.load(); }));
  set(offset::intms, 1);
  EXPECT_FALSE(slot.line) << "masked";
  unsigned const before = slot.raised(0);
  set(offset::intmc, 1);
  EXPECT_TRUE(slot.line);
  EXPECT_EQ(slot.raised(0), before + 1);
  ring_head(admin);
  EXPECT_FALSE(slot.line);
  EXPECT_EQ(slot.raised(1), 0u);
}

}  // namespace
}  // namespace swiommu::vfio::nvme
