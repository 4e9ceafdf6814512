#include "vfio/devices/nvme/io_commands.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vfio/devices/nvme/prp_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

struct NvmeIoCommandsTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
    queue = create_pair(1);
  }
  Status io(Command const& c) { return status_of(queue, c); }
  void fill(std::uint64_t iova, std::size_t bytes, unsigned seed) {
    for (std::size_t n = 0; n < bytes; n++) memory->data(iova)[n] = static_cast<std::byte>(n * 7 + seed);
  }
  std::vector<std::byte> on_disk(Disk const& which, std::uint64_t at, std::size_t bytes) {
    std::vector<std::byte> read(bytes);
    int const file = ::open(which.path(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(::pread(file, read.data(), bytes, static_cast<off_t>(at)), static_cast<ssize_t>(bytes));
    ::close(file);
    return read;
  }
  bool same(std::uint64_t iova, std::vector<std::byte> const& bytes) {
    return std::memcmp(memory->data(iova), bytes.data(), bytes.size()) == 0;
  }
  DriverQueue queue;
  std::uint64_t const place = allocate(2 * page), other = allocate(2 * page);
};

TEST_F(NvmeIoCommandsTest, WhatIsWrittenIsReadBackAndInTheFile) {
  fill(place, 2 * page, 3);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 5, 16, place, place + page)), status::success);
  EXPECT_TRUE(same(place, on_disk(disk, 5 * 512, 2 * page)));
  ASSERT_EQ(io(on_blocks(NvmOpcode::read, 1, 5, 16, other, other + page)), status::success);
  EXPECT_EQ(std::memcmp(data(place), data(other), 2 * page), 0);
  fill(place, 2 * page, 4);
  Command c = on_blocks(NvmOpcode::write, 2, 7, 2, place, place + page);
  c.cdw12 |= 1u << 30;  // FUA
  ASSERT_EQ(io(c), status::success);
  EXPECT_TRUE(same(place, on_disk(large_blocks, 7 * page, 2 * page)));
}

TEST_F(NvmeIoCommandsTest, TheLastBlockIsTheLast) {
  for (auto const opcode : {NvmOpcode::read, NvmOpcode::write, NvmOpcode::compare, NvmOpcode::write_zeroes, NvmOpcode::verify}) {
    EXPECT_EQ(io(on_blocks(opcode, 1, blocks - 1, 1, place)), status::success);
    EXPECT_EQ(io(on_blocks(opcode, 1, blocks, 1, place)), status::lba_out_of_range);
    EXPECT_EQ(io(on_blocks(opcode, 1, blocks - 1, 2, place)), status::lba_out_of_range);
    EXPECT_EQ(io(on_blocks(opcode, 1, ~std::uint64_t{0}, 2, place)), status::lba_out_of_range);
    EXPECT_EQ(io(on_blocks(opcode, 1, std::uint64_t{1} << 55, 1, place)), status::lba_out_of_range);
  }
}

TEST_F(NvmeIoCommandsTest, BadFieldsAreRefused) {
  for (auto const opcode : {NvmOpcode::read, NvmOpcode::write, NvmOpcode::compare, NvmOpcode::write_zeroes, NvmOpcode::verify,
                            NvmOpcode::flush, NvmOpcode::dataset_management}) {
    Command c = on_blocks(opcode, 1, 0, 1, place);
    c.flags = 1;
    EXPECT_EQ(io(c), status::invalid_field) << "fused";
    c.flags = 0xc0;
    EXPECT_EQ(io(c), status::invalid_field) << "named in no way that there is";
    c.flags = 0;
    for (std::uint32_t const nsid : {0u, 3u, 0xfffffffeu}) {
      c.nsid = nsid;
      EXPECT_EQ(io(c), status::invalid_namespace) << nsid;
    }
  }
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, every_namespace, 0, 1, place)), status::invalid_namespace);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 513, place)), status::invalid_field) << "more than MDTS";
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 1, place + 2)), status::prp_offset_invalid);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 16, place, other + 8)), status::prp_offset_invalid);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 24, place, other + 4)), status::prp_offset_invalid) << "a list";
  *data<std::uint64_t>(other) = place + 512;
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 24, place, other)), status::prp_offset_invalid) << "an entry of a list";
  *data<std::uint64_t>(other + page - 8) = other + 8;
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 24, place, other + page - 8)), status::prp_offset_invalid) << "a chain";
  Command directive = on_blocks(NvmOpcode::write, 1, 0, 1, place);
  directive.cdw12 |= 1u << 20;
  EXPECT_EQ(io(directive), status::invalid_field);
  for (unsigned opcode = 0; opcode < 256; opcode++) {
    if (opcode <= 2 || opcode == 5 || opcode == 8 || opcode == 9 || opcode == 0x0c) continue;
    EXPECT_EQ(io({.opcode = static_cast<std::uint8_t>(opcode), .nsid = 1}), status::invalid_opcode) << opcode;
  }
}

TEST_F(NvmeIoCommandsTest, CompareTellsWhatDiffers) {
  fill(place, page, 1);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 8, place)), status::success);
  EXPECT_EQ(io(on_blocks(NvmOpcode::compare, 1, 0, 8, place)), status::success);
  memory->data(place)[4095] ^= std::byte{1};
  EXPECT_EQ(io(on_blocks(NvmOpcode::compare, 1, 0, 8, place)), status::compare_failure);
  EXPECT_EQ(io(on_blocks(NvmOpcode::compare, 1, 0, 7, place)), status::success);
}

TEST_F(NvmeIoCommandsTest, ZeroesAndDeallocatedBlocksReadAsZeros) {
  fill(place, page, 1);
  for (std::uint64_t block = 0; block < 64; block += 8)
    ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, block, 8, place)), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write_zeroes, 1, 3, 10)), status::success);
  std::vector<std::byte> const zeros(10 * 512);
  EXPECT_EQ(on_disk(disk, 3 * 512, 10 * 512), zeros);
  EXPECT_NE(on_disk(disk, 13 * 512, 1)[0], std::byte{0});
  std::uint32_t const ranges[][4] = {{0, 8, 16, 0}, {0, 0, 1, 0}, {0, 1, 40, 0}};  // attributes, length, start
  std::memcpy(data(other), ranges, sizeof ranges);
  Command c = command(NvmOpcode::dataset_management);
  c.nsid = 1;
  c.prp1 = other;
  c.cdw10 = 2;
  ASSERT_EQ(io(c), status::success);
  EXPECT_NE(on_disk(disk, 17 * 512, 1)[0], std::byte{0}) << "a hint, without the attribute";
  c.cdw11 = 4;
  ASSERT_EQ(io(c), status::success);
  EXPECT_EQ(on_disk(disk, 16 * 512, 8 * 512), std::vector<std::byte>(8 * 512));
  EXPECT_EQ(on_disk(disk, 40 * 512, 512), std::vector<std::byte>(512));
  EXPECT_NE(on_disk(disk, 41 * 512, 1)[0], std::byte{0});
  data<std::uint32_t>(other)[6] = blocks + 1;
  EXPECT_EQ(io(c), status::lba_out_of_range);
}

TEST_F(NvmeIoCommandsTest, FlushTakesOneNamespaceOrAll) {
  for (std::uint32_t const nsid : {1u, 2u, every_namespace}) {
    Command c = command(NvmOpcode::flush);
    c.nsid = nsid;
    EXPECT_EQ(io(c), status::success);
  }
}

TEST_F(NvmeIoCommandsTest, AFileThatHasShrunkIsAMediaError) {
  ASSERT_EQ(::truncate(disk.path(), 512), 0);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
  Completion const failed = run(queue, on_blocks(NvmOpcode::read, 1, 0, 2, place));
  EXPECT_EQ(status_of(failed), status::unrecovered_read_error);
  EXPECT_EQ(failed.status & 1 << 15, 0) << "may be tried again";
  EXPECT_EQ(io(on_blocks(NvmOpcode::verify, 1, 0, 2)), status::unrecovered_read_error);
}

TEST_F(NvmeIoCommandsTest, LargerPagesAreUsedAsTheHostSays) {
  disable();
  next = 16 * page;  // aligned to the larger page
  prepare(512);      // so that both queues are
  admin.completions = 64 * page;
  next = 80 * page;
  set_wide(offset::acq, admin.completions);
  set(offset::cc, enabled | 2u << 7);  // 16 KiB
  ASSERT_TRUE(await_status(csts::ready | csts::fatal, csts::ready));
  queue = {.id = 1, .submissions = 128 * page, .completions = 132 * page, .entries = 64, .completion_id = 1};
  std::memset(data(128 * page), 0, 64 * page);
  ASSERT_EQ(admin_status(create_completions(1, 64, 133 * page)), status::prp_offset_invalid);
  ASSERT_EQ(admin_status(create_completions(1, 64, queue.completions)), status::success);
  ASSERT_EQ(admin_status(create_submissions(1, 64, queue.submissions, 1)), status::success);
  fill(160 * page, 4 * page, 9);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 32, 160 * page)), status::success) << "one entry names it all";
  EXPECT_TRUE(same(160 * page, on_disk(disk, 0, 4 * page)));
  ASSERT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 32, 176 * page + 512, 180 * page)), status::success);
  EXPECT_TRUE(same(176 * page + 512, on_disk(disk, 0, 4 * page - 512)));
  EXPECT_TRUE(same(180 * page, on_disk(disk, 4 * page - 512, 512)));
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 32, 176 * page + 512, 181 * page)), status::prp_offset_invalid);
}

// A file in memory that is sealed against writing once the controller has it open.
struct NvmeWriteFaultTest : NvmeIoCommandsTest {
  NvmeOptions options() override {
    EXPECT_EQ(::ftruncate(file.get(), blocks * 512), 0);
    auto all = NvmeIoCommandsTest::options();
    all.namespaces[0].path = fmt::format("/proc/self/fd/{}", file.get());
    return all;
  }
  Descriptor file{::memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
};

TEST_F(NvmeWriteFaultTest, AWriteThatTheSystemRefusesIsAMediaError) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::write_fault);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write_zeroes, 1, 0, 4000)), status::write_fault);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
}

struct NvmeReadOnlyTest : NvmeIoCommandsTest {
  NvmeOptions options() override {
    auto all = NvmeIoCommandsTest::options();
    all.namespaces[0].read_only = true;
    return all;
  }
};

TEST_F(NvmeReadOnlyTest, WritesAreRefused) {
  Command dataset = on_blocks(NvmOpcode::dataset_management, 1, 0, 1, place);
  dataset.cdw11 = 4;
  EXPECT_EQ(io(dataset), status::write_protected);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::write_protected);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write_zeroes, 1, 0, 1)), status::write_protected);
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
  EXPECT_EQ(io(on_blocks(NvmOpcode::flush, 1, 0, 1)), status::success);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write, 2, 0, 1, place)), status::success);
}

// Each namespace against its contents in memory.
TEST_F(NvmeIoCommandsTest, AnyHistoryGivesTheSameDisk) {
  SCOPED_TRACE(fmt::format("SWIOMMU_SEED={}", conformance::seed()));
  std::mt19937_64 random(conformance::seed());
  ScatteredMemory scattered(*this, 1024, random);
  std::vector<std::byte> expected[] = {std::vector<std::byte>(blocks * 512), std::vector<std::byte>(blocks * 4096)};
  std::uint64_t const lists = next;
  for (int step = 0; step < static_cast<int>(conformance::effort(600)); step++) {
    next = lists;
    std::uint32_t const nsid = 1 + random() % 2;
    std::uint64_t const size = nsid == 1 ? 512 : 4096, most = (page << 6) / size;
    std::uint64_t const count = 1 + random() % (random() % 2 == 0 ? 4 : most);
    std::uint64_t const start = random() % (random() % 2 == 0 ? 2 * most : blocks - count + 1), bytes = count * size;
    auto const there = std::span(expected[nsid - 1]).subspan(start * size, bytes);
    auto const buffer = scattered.make(bytes);
    auto const command_of = [&](NvmOpcode opcode) {
      Command c = on_blocks(opcode, nsid, start, static_cast<std::uint32_t>(count), buffer.prp1, buffer.prp2);
      if (random() % 2 == 0) scattered.name_by_sgl(buffer, c);
      return c;
    };
    switch (random() % 8) {
      case 0:
      case 1:
      case 2: {
        std::vector<std::byte> written(bytes);
        for (std::byte& each : written) each = static_cast<std::byte>(random());
        scattered.fill(buffer, written);
        ASSERT_EQ(io(command_of(NvmOpcode::write)), status::success);
        std::ranges::copy(written, there.begin());
        break;
      }
      case 3:
        ASSERT_EQ(io(on_blocks(NvmOpcode::write_zeroes, nsid, start, static_cast<std::uint32_t>(count))), status::success);
        std::ranges::fill(there, std::byte{0});
        break;
      case 4: {
        std::vector<std::byte> compared(there.begin(), there.end());
        bool const differs = random() % 2 == 0;
        if (differs) compared[random() % bytes] ^= std::byte{0x10};
        scattered.fill(buffer, compared);
        ASSERT_EQ(io(command_of(NvmOpcode::compare)), differs ? status::compare_failure : status::success);
        break;
      }
      default:
        ASSERT_EQ(io(command_of(NvmOpcode::read)), status::success);
        ASSERT_TRUE(std::ranges::equal(scattered.contents(buffer), there)) << "step " << step;
    }
  }
  EXPECT_EQ(on_disk(disk, 0, expected[0].size()), expected[0]);
  EXPECT_EQ(on_disk(large_blocks, 0, expected[1].size()), expected[1]);
}

}  // namespace
}  // namespace swiommu::vfio::nvme
