#include "vfio/devices/nvme/prp_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

// All of a driver's accesses go through a mapping: nothing calls the model.
struct NvmeMappedRegistersTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    map();
  }
  void TearDown() override {
    if (mapping != nullptr) unmap();
    NvmeTest::TearDown();
  }
};

TEST_F(NvmeMappedRegistersTest, ADriverNeedsNoCalls) {
  EXPECT_EQ(get(offset::vs), 0x10400u);
  enable();
  auto queue = create_pair(1), second = create_pair(2);
  std::uint64_t const written = allocate(), read = allocate();
  for (int round = 0; round < 100; round++) {
    std::memset(data(written), round, page);
    ASSERT_EQ(status_of(queue, on_blocks(NvmOpcode::write, 1, 8, 8, written)), status::success);
    ASSERT_EQ(status_of(second, on_blocks(NvmOpcode::read, 1, 8, 8, read)), status::success);
    ASSERT_EQ(*data(read), static_cast<std::byte>(round));
    ASSERT_EQ(std::memcmp(data(written), data(read), page), 0);
  }
  disable();
  enable();
  EXPECT_EQ(admin_status(command(AdminOpcode::get_features)), status::invalid_field);
  set(offset::cc, enabled | 1u << 14);
  EXPECT_TRUE(await_status(3u << 2, csts::shutdown_complete));
}

TEST_F(NvmeMappedRegistersTest, AnIdleControllerWakesUp) {
  enable();
  auto queue = create_pair(1);
  for (int round = 0; round < 5; round++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // so that the threads have stopped spinning
    EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page)), status::success);
  }
}

TEST_F(NvmeMappedRegistersTest, WrongDoorbellsAreEvents) {
  enable();
  auto queue = create_pair(1, 16);
  (void)submit(admin, command(AdminOpcode::asynchronous_event_request));
  set(offset::doorbells + 8 * 4 + 4, 1);
  EXPECT_EQ(await(admin).result, 0x00010000u);
  EXPECT_TRUE(eventually([&] { return get(offset::doorbells + 8 * 4 + 4) == 0; }));
  Command c = command(AdminOpcode::get_log_page);
  c.cdw10 = 127 << 16 | 1;
  c.prp1 = allocate();
  for (std::uint64_t const at : {offset::doorbells + 8, offset::doorbells + 12}) {
    EXPECT_EQ(admin_status(c), status::success);
    (void)submit(admin, command(AdminOpcode::asynchronous_event_request));
    set(at, 16);
    EXPECT_EQ(await(admin).result, 0x00010100u);
    EXPECT_TRUE(eventually([&] { return get(at) == 0; })) << "taken back";
  }
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page)), status::success);
}

TEST_F(NvmeMappedRegistersTest, TheDoorbellsOfDeletedQueuesAreNoEvents) {
  enable();
  auto queue = create_pair(1);
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, allocate())), status::success);
  ASSERT_EQ(get(offset::doorbells + 8), 1u);
  (void)submit(admin, command(AdminOpcode::asynchronous_event_request));
  Command c = command(AdminOpcode::delete_submission_queue);
  c.cdw10 = 1;
  EXPECT_EQ(admin_status(c), status::success) << "and not the completion of an event request";
  c.opcode = static_cast<std::uint8_t>(AdminOpcode::delete_completion_queue);
  EXPECT_EQ(admin_status(c), status::success);
  EXPECT_EQ(get(offset::doorbells + 8), 0u);
  EXPECT_EQ(get(offset::doorbells + 12), 0u);
  EXPECT_EQ(admin_status(command(AdminOpcode::get_features)), status::invalid_field) << "after another look at the doorbells";
}

TEST_F(NvmeMappedRegistersTest, WhatIsOnlyReadComesBack) {
  std::uint32_t const cap = get(offset::cap);
  set(offset::cap, 0);
  set(offset::csts, 0xff);
  EXPECT_TRUE(eventually([&] { return get(offset::cap) == cap && get(offset::csts) == 0; }));
  std::uint32_t read = 0;
  model->read_bar(0, offset::vs, std::as_writable_bytes(std::span(&read, 1)));
  EXPECT_EQ(read, 0x10400u);
}

TEST_F(NvmeMappedRegistersTest, MasksAreFound) {
  auto const mask = [&] {
    std::uint32_t read = 0;
    model->read_bar(0, offset::intms, std::as_writable_bytes(std::span(&read, 1)));
    return read;
  };
  set(offset::intms, 0x0f);
  EXPECT_TRUE(eventually([&] { return mask() == 0x0f; }));
  set(offset::intmc, 0x03);
  EXPECT_TRUE(eventually([&] { return mask() == 0x0c; }));
}

TEST_F(NvmeMappedRegistersTest, CallsAndMappingsMix) {
  enable();
  auto queue = create_pair(1);
  for (int round = 0; round < 10; round++) {
    unmap();
    EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page)), status::success);
    map();
    EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page)), status::success);
  }
}

TEST_F(NvmeMappedRegistersTest, AFullCompletionQueueGoesOnWhenItsHeadMoves) {
  enable();
  auto queue = create_pair(1, 4);
  for (int round = 0; round < 50; round++) {
    for (int n = 0; n < 3; n++) (void)put(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page));
    ring_tail(queue);
    for (int n = 0; n < 3; n++) (void)take(queue);
    (void)submit(queue, on_blocks(NvmOpcode::read, 1, 0, 1, page));
    ring_head(queue);
    EXPECT_EQ(status_of(await(queue)), status::success);
  }
}

TEST_F(NvmeMappedRegistersTest, AResetShows) {
  enable();
  model->reset();
  for (std::uint64_t const at : {offset::cc, offset::csts, offset::aqa, offset::asq, offset::acq, offset::doorbells})
    EXPECT_EQ(get(at), 0u);
  EXPECT_EQ(get(offset::vs), 0x10400u);
  enable();
}

TEST_F(NvmeMappedRegistersTest, TheMemoryCannotBeShortenedAndOutlivesTheModel) {
  EXPECT_NE(::ftruncate(handle->descriptor(), 0), 0);
  EXPECT_EQ(model->map_bar(4).error().code, ENODEV);
  enable();
  model.reset();
  EXPECT_EQ(get(offset::vs), 0x10400u);
  unmap();
}

}  // namespace
}  // namespace swiommu::vfio::nvme
