#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeDmaFaultsTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
    queue = create_pair(1);
    other = create_pair(2);
  }
  void take_away(std::uint64_t iova, std::uint64_t bytes = page) {
    ASSERT_TRUE(domain->unmap({iova, iova + bytes - 1}, Cut::split));
  }
  DriverQueue queue, other;
  std::uint64_t const place = allocate(4 * page), hole = allocate();
};

TEST_F(NvmeDmaFaultsTest, AFaultFailsTheCommandAndNothingElse) {
  std::memset(data(place), 0x5a, page);
  ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::write, 1, 0, 8, place)), status::success);
  take_away(hole);
  for (auto const opcode : {NvmOpcode::read, NvmOpcode::write, NvmOpcode::compare}) {
    std::size_t const before = slot.faults().size();
    Completion const failed = run(queue, on_blocks(opcode, 1, 0, 16, place, hole));
    EXPECT_EQ(status_of(failed), status::data_transfer_error);
    EXPECT_NE(failed.status & 1 << 14, 0) << "the error log says more";
    auto const faults = slot.faults();
    ASSERT_EQ(faults.size(), before + 1);
    EXPECT_EQ(faults.back().iova, hole);
    EXPECT_EQ(faults.back().access.write, opcode == NvmOpcode::read);
  }
  std::memset(data(place), 0, page);
  ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 8, place)), status::success);
  EXPECT_EQ(memory->data(place)[0], std::byte{0x5a}) << "the write that failed has written nothing";
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 24, place, hole)), status::data_transfer_error) << "a list";
  EXPECT_EQ(get(offset::csts), csts::ready);
}

TEST_F(NvmeDmaFaultsTest, AdminCommandsFailAlike) {
  take_away(hole);
  Command c = command(AdminOpcode::identify);
  c.cdw10 = 1;
  c.prp1 = hole;
  EXPECT_EQ(admin_status(c), status::data_transfer_error);
  c.prp1 = place;
  EXPECT_EQ(admin_status(c), status::success);
}

TEST_F(NvmeDmaFaultsTest, ASubmissionQueueThatIsGoneIsFatal) {
  take_away(queue.submissions);
  (void)put(other, command(NvmOpcode::flush));
  queue.tail = 1;
  ring_tail(queue);
  EXPECT_TRUE(await_status(csts::fatal, csts::fatal));
  EXPECT_EQ(slot.faults().at(0).iova, queue.submissions);
}

TEST_F(NvmeDmaFaultsTest, ACompletionQueueThatIsGoneIsFatal) {
  take_away(queue.completions);
  (void)submit(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place));
  EXPECT_TRUE(await_status(csts::fatal, csts::fatal));
  EXPECT_EQ(slot.faults().at(0).iova, queue.completions);
  EXPECT_TRUE(slot.faults().at(0).access.write);
}

TEST_F(NvmeDmaFaultsTest, AnAdminQueueThatIsGoneIsFatalUntilTheReset) {
  take_away(admin.submissions);
  (void)submit(admin, command(AdminOpcode::get_features));
  EXPECT_TRUE(await_status(csts::fatal, csts::fatal));
  disable();
  EXPECT_EQ(get(offset::csts), 0u);
  enable();
  EXPECT_EQ(admin_status(command(AdminOpcode::get_features)), status::invalid_field);
}

TEST_F(NvmeDmaFaultsTest, CompletionsGoWhereNothingMayBeRead) {
  take_away(queue.completions);
  std::uint64_t const at = queue.completions;
  ASSERT_TRUE(domain->map({at, at + page - 1}, HostAddress(MirroredMemory::start + at), {.access = Access::writing()}));
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
}

TEST_F(NvmeDmaFaultsTest, WithoutBusMasterNothingMoves) {
  slot.master = false;
  model->on_bus_master(false);
  for (int n = 0; n < 20; n++) (void)put(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place));
  ring_tail(queue);
  (void)submit(admin, command(AdminOpcode::get_features));
  take_away(place);
  take_away(queue.submissions);  // none of this is noticed
  EXPECT_FALSE(has_completion(queue));
  EXPECT_FALSE(has_completion(admin));
  for (std::uint64_t const at : {place, queue.submissions})
    ASSERT_TRUE(domain->map({at, at + page - 1}, HostAddress(MirroredMemory::start + at), {.access = Access::both()}));
  EXPECT_TRUE(slot.faults().empty());
  slot.master = true;
  model->on_bus_master(true);
  for (int n = 0; n < 20; n++) EXPECT_EQ(status_of(await(queue)), status::success);
  EXPECT_EQ(status_of(await(admin)), status::invalid_field);
}

TEST_F(NvmeDmaFaultsTest, StoppedWithCommandsOnTheirWayItDoesNoMoreDma) {
  for (int round = 0; round < 100; round++) {
    for (DriverQueue* const each : {&queue, &other}) {
      for (int n = 0; n < 60; n++)
        (void)put(*each,
                  on_blocks(NvmOpcode::read, 2, 0, 2, place + 2 * page * (each->id - 1), place + 2 * page * each->id - page));
      ring_tail(*each);
    }
    if (round % 3 != 0) {
      EXPECT_TRUE(eventually([&] { return has_completion(queue); }));
    }
    switch (round % 3) {
      case 0: model->reset(); break;
      case 1: disable(); break;
      default: model->on_bus_master(false);
    }
    // Nothing is written any more.
    std::memset(data(page), 0xee, next - page);
    for (int n = 0; n < 10; n++) std::this_thread::yield();
    std::byte const* const bytes = data(page);
    ASSERT_TRUE(std::all_of(bytes, bytes + (next - page), [](std::byte each) { return each == std::byte{0xee}; }));
    if (round % 3 == 2) {
      model->reset();
      model->on_bus_master(true);
    }
    next = hole + page;
    enable();
    queue = create_pair(1);
    other = create_pair(2);
    ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
  }
}

TEST_F(NvmeDmaFaultsTest, LosingBusMasterWaitsForTheCommandThatIsRun) {
  slot.inside = false;
  slot.held = true;
  (void)submit(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place));
  ASSERT_TRUE(eventually([&] { return slot.inside.load(); }));
  std::atomic<bool> returned = false;
  std::thread owner([&] {
    model->on_bus_master(false);
    returned = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // enough to return, if it did
  EXPECT_FALSE(returned);
  slot.held = false;
  owner.join();
}

TEST_F(NvmeDmaFaultsTest, PulledOutWithCommandsOnTheirWay) {
  for (int n = 0; n < 60; n++) (void)put(queue, on_blocks(NvmOpcode::read, 2, 0, 2, place, place + page));
  ring_tail(queue);
  model.reset();
  plug();
  enable();
  EXPECT_EQ(admin_status(command(AdminOpcode::get_features)), status::invalid_field);
}

}  // namespace
}  // namespace swiommu::vfio::nvme
