#include <sys/stat.h>

#include "vfio/devices/nvme/nvme_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeOptionsTest : NvmeTest {
  Error refused(auto&& change) {
    NvmeOptions all = options();
    change(all);
    auto const made = make_nvme(slot, all);
    EXPECT_FALSE(made);
    return made ? Error{0, ""} : made.error();
  }
};

TEST_F(NvmeOptionsTest, FilesAreWhatTheyMustBe) {
  Error error = refused([](NvmeOptions& all) { all.namespaces[0].path = "/nonexistent/disk"; });
  EXPECT_EQ(error.code, ENOENT);
  EXPECT_EQ(error.about, "cannot open /nonexistent/disk");
  error = refused([](NvmeOptions& all) { all.namespaces[0].path = "/dev/null"; });
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_EQ(error.about, "/dev/null is neither a regular file nor a block device");
  Disk const odd(1000), empty(0);
  error = refused([&](NvmeOptions& all) { all.namespaces[0].path = odd.path(); });
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_EQ(error.about, std::string("the size of ") + odd.path() + ", 1000 bytes, is no multiple of blocks of 512 bytes");
  EXPECT_EQ(refused([&](NvmeOptions& all) { all.namespaces[0].path = empty.path(); }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.namespaces[0].block_size = 1024; }).code, EINVAL);
}

TEST_F(NvmeOptionsTest, NumbersHaveBounds) {
  EXPECT_EQ(refused([](NvmeOptions& all) { all.io_queues = 0; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.io_queues = 1024; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.queue_entries = 1; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.queue_entries = 65537; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.mdts = 12; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.io_threads = 0; }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.serial.assign(21, 'x'); }).code, EINVAL);
  EXPECT_EQ(refused([](NvmeOptions& all) { all.model.clear(); }).code, EINVAL);
}

struct NvmeLargestTest : NvmeTest {
  NvmeOptions options() override {
    return {.namespaces = {{.path = disk.path()}}, .io_queues = 1023, .queue_entries = 65536, .mdts = 11, .io_threads = 3};
  }
};

TEST_F(NvmeLargestTest, QueuesAndTransfers) {
  EXPECT_EQ(model->description().msix.vectors, 1024);
  enable();
  auto queue = create_pair(1023, 16384, 1023);
  std::uint64_t const place = allocate();
  for (int n = 0; n < 16383; n++) (void)put(queue, on_blocks(NvmOpcode::read, 1, 0, 1, place));
  ring_tail(queue);
  for (int n = 0; n < 16383; n++) ASSERT_EQ(status_of(take(queue)), status::success);
  ring_head(queue);
  std::uint64_t const list = allocate(4 * page);
  for (std::uint64_t n = 0; n < 4; n++)
    for (std::uint64_t entry = 0; entry < 512; entry++)
      data<std::uint64_t>(list + n * page)[entry] = entry == 511 ? list + (n + 1) * page : place;
  EXPECT_EQ(status_of(queue, on_blocks(NvmOpcode::read, 1, 0, 8192, place, list)), status::success) << "4 MiB";
}

}  // namespace
}  // namespace swiommu::vfio::nvme
