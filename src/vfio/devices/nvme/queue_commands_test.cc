#include "vfio/devices/nvme/queue_commands.h"

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeQueueCommandsTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
  }
  Status create_completions_with(auto&& change) {
    Command c = create_completions(1, 16, place);
    change(c);
    return admin_status(c);
  }
  Status create_submissions_with(auto&& change) {
    Command c = create_submissions(1, 16, place, 1);
    change(c);
    return admin_status(c);
  }
  std::uint64_t const place = allocate();
};

TEST_F(NvmeQueueCommandsTest, RefuseBadCompletionQueues) {
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw10 = 15 << 16; }), status::invalid_queue_identifier);
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw10 = 15 << 16 | 9; }), status::invalid_queue_identifier);
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw10 = 1; }), status::invalid_queue_size) << "one entry";
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw10 = 256 << 16 | 1; }), status::invalid_queue_size);
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw11 = 9 << 16 | 3; }), status::invalid_interrupt_vector);
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw11 = 1 << 16 | 2; }), status::invalid_field) << "not in one piece";
  EXPECT_EQ(create_completions_with([](Command& c) { c.prp1 += 16; }), status::prp_offset_invalid);
  EXPECT_EQ(create_completions_with([](Command& c) { c.flags = 1; }), status::invalid_field) << "fused";
  EXPECT_EQ(create_completions_with([](Command& c) { c.flags = 0x40; }), status::invalid_field) << "an SGL";
  EXPECT_EQ(create_completions_with([](Command& c) { c.cdw11 = 9 << 16 | 1; }), status::success) << "a vector that is not used";
  EXPECT_EQ(create_completions_with([](Command&) {}), status::invalid_queue_identifier) << "there is one";
}

TEST_F(NvmeQueueCommandsTest, RefuseBadSubmissionQueues) {
  EXPECT_EQ(create_submissions_with([](Command&) {}), status::completion_queue_invalid);
  ASSERT_EQ(create_completions_with([](Command&) {}), status::success);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw10 = 15 << 16; }), status::invalid_queue_identifier);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw10 = 15 << 16 | 9; }), status::invalid_queue_identifier);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw11 = 1; }), status::invalid_queue_identifier)
      << "the admin completion queue";
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw11 = 9 << 16 | 1; }), status::invalid_queue_identifier);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw10 = 1; }), status::invalid_queue_size);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw10 = 0xffff0001; }), status::invalid_queue_size);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.cdw11 = 1 << 16; }), status::invalid_field);
  EXPECT_EQ(create_submissions_with([](Command& c) { c.prp1 += 64; }), status::prp_offset_invalid);
  EXPECT_EQ(create_submissions_with([](Command&) {}), status::success);
  EXPECT_EQ(create_submissions_with([](Command&) {}), status::invalid_queue_identifier) << "there is one";
}

TEST_F(NvmeQueueCommandsTest, DeleteWhatIsThereInTheRightOrder) {
  EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_completion_queue, 1)), status::invalid_queue_identifier);
  EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_submission_queue, 0)), status::invalid_queue_identifier);
  EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_completion_queue, 0)), status::invalid_queue_identifier);
  EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_submission_queue, 9)), status::invalid_queue_identifier);
  for (int round = 0; round < 3; round++) {
    auto queue = create_pair(1);
    ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
    EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_completion_queue, 1)), status::invalid_queue_deletion);
    EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_submission_queue, 1)), status::success);
    EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_submission_queue, 1)), status::invalid_queue_identifier);
    EXPECT_EQ(admin_status(delete_queue(AdminOpcode::delete_completion_queue, 1)), status::success);
  }
}

TEST_F(NvmeQueueCommandsTest, SeveralSubmissionQueuesShareACompletionQueue) {
  auto first = create_pair(1);
  DriverQueue second{.id = 2, .submissions = allocate(), .entries = 16, .completion_id = 1};
  ASSERT_EQ(admin_status(create_submissions(2, 16, second.submissions, 1)), status::success);
  std::uint64_t const elsewhere = allocate();  // what two threads write at once is a race, though the driver's own
  for (int round = 0; round < 100; round++) {
    (void)submit(first, on_blocks(NvmOpcode::read, 1, 0, 1, place));
    (void)submit(second, on_blocks(NvmOpcode::read, 1, 0, 1, elsewhere));
    Completion const one = await(first), other = await(first);
    EXPECT_EQ(one.submission_queue + other.submission_queue, 3);
    EXPECT_EQ(one.submission_queue == 2 ? one.submission_head : other.submission_head, second.tail);
  }
}

TEST_F(NvmeQueueCommandsTest, AFullCompletionQueueWaitsForTheHost) {
  auto queue = create_pair(1, 64);
  DriverQueue narrow{.id = 2, .submissions = allocate(), .completions = allocate(), .entries = 64, .completion_id = 2};
  ASSERT_EQ(admin_status(create_completions(2, 4, narrow.completions)), status::success);
  ASSERT_EQ(admin_status(create_submissions(2, 64, narrow.submissions, 2)), status::success);
  std::vector<std::uint16_t> ids;
  for (int n = 0; n < 40; n++) ids.push_back(put(narrow, on_blocks(NvmOpcode::read, 1, 0, 1, place)));
  ring_tail(narrow);
  DriverQueue taken = narrow;
  taken.entries = 4;
  for (std::uint16_t const id : ids) {
    EXPECT_EQ(take(taken).command, id);
    if (id % 3 == 0) ring_head(taken);  // three fit at most
  }
  ring_head(taken);
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
}

TEST_F(NvmeQueueCommandsTest, QueuesWrapManyTimes) {
  auto queue = create_pair(3, 5);
  for (int round = 0; round < 100; round++) {
    Completion const completion = run(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place));
    EXPECT_EQ(completion.submission_head, queue.tail);
    EXPECT_EQ(completion.submission_queue, 3);
    EXPECT_EQ(status_of(completion), status::success);
  }
}

TEST_F(NvmeQueueCommandsTest, AllQueuesWorkAtOnce) {
  std::vector<DriverQueue> queues;
  for (std::uint16_t id = 1; id <= 8; id++) queues.push_back(create_pair(id, 16, id));
  std::uint64_t const buffers = allocate(9 * page);
  for (int round = 0; round < 50; round++) {
    for (auto& queue : queues)
      for (int n = 0; n < 15; n++) (void)put(queue, on_blocks(NvmOpcode::read, 1, 0, 1, buffers + queue.id * page));
    for (auto& queue : queues) ring_tail(queue);
    for (auto& queue : queues)
      for (int n = 0; n < 15; n++) EXPECT_EQ(status_of(await(queue)), status::success);
  }
  for (std::uint16_t vector = 1; vector <= 8; vector++)
    EXPECT_TRUE(eventually([&] { return slot.raised(vector) == 50u * 15; })) << vector;
}

}  // namespace
}  // namespace swiommu::vfio::nvme
