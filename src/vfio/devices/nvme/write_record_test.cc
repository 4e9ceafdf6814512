#include "vfio/devices/nvme/write_record.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

#include "vfio/devices/nvme/nvme_fixture.h"
#include "vfio/devices/nvme/power_cut.h"

namespace swiommu::vfio::nvme {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct NvmeWriteRecordTest : NvmeTest {
  void SetUp() override {
    NvmeTest::SetUp();
    enable();
    queue = create_pair(1);
  }
  NvmeOptions options() override {
    auto all = NvmeTest::options();
    all.record = record.path();
    return all;
  }
  Status io(Command const& c) { return status_of(queue, c); }
  static Command forced(Command c) {
    c.cdw12 |= 1u << 30;  // FUA
    return c;
  }
  static Command flush(std::uint32_t nsid) {
    Command c = command(NvmOpcode::flush);
    c.nsid = nsid;
    return c;
  }
  // Deallocates two ranges of the first namespace.
  Command deallocate() {
    std::uint32_t const ranges[][4] = {{0, 8, 16, 0}, {0, 1, 40, 0}};  // attributes, length, start
    std::memcpy(data(place), ranges, sizeof ranges);
    Command c = command(NvmOpcode::dataset_management);
    c.nsid = 1;
    c.prp1 = place;
    c.cdw10 = 1;
    c.cdw11 = 4;
    return c;
  }
  // "write 1 5+16", in blocks; a flush with what it covers: "flush 1 0+8192 <2".
  std::vector<std::string> entries() {
    static char const* const names[] = {"none", "write", "zeroes", "deallocate", "flush"};
    std::vector<std::string> lines;
    auto const reader = RecordReader::open(record.path());
    EXPECT_TRUE(reader) << reader.error().about;
    if (!reader) return lines;
    for (RecordEntry const& each : reader->entries()) {
      std::uint32_t const block = reader->namespaces()[each.nsid - 1].block_bytes;
      lines.push_back(fmt::format("{} {} {}+{}", names[static_cast<unsigned>(each.kind)], each.nsid, each.offset / block,
                                  each.length / block));
      if (each.kind == RecordKind::flush) lines.back() += fmt::format(" <{}", each.before);
    }
    return lines;
  }
  bool makes_again(std::uint32_t nsid, Disk const& of) {
    Disk const image(blocks * (nsid == 1 ? 512 : 4096));
    BackingFile const file(Descriptor(::open(image.path(), O_RDWR | O_CLOEXEC)));
    auto reader = RecordReader::open(record.path()).value();
    EXPECT_TRUE(CutImage(reader, file).make({.nsid = nsid, .until = reader.entries().size()}));
    std::vector<std::byte> made(blocks * (nsid == 1 ? 512 : 4096)), found(made.size());
    BackingFile const disk_file(Descriptor(::open(of.path(), O_RDONLY | O_CLOEXEC)));
    EXPECT_TRUE(file.read(0, made) && disk_file.read(0, found));
    return made == found;
  }

  Disk const record{0};
  DriverQueue queue;
  std::uint64_t const place = allocate(2 * page);
};

TEST_F(NvmeWriteRecordTest, EveryChangeAndFlushIsThereInItsOrder) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 5, 16, place, place + page)), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::read, 1, 5, 16, place, place + page)), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 2, 7, 1, place)), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write_zeroes, 2, 1, 3)), status::success);
  ASSERT_EQ(io(flush(2)), status::success);
  ASSERT_EQ(io(deallocate()), status::success);
  ASSERT_EQ(io(flush(every_namespace)), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, blocks, 1, place)), status::lba_out_of_range);
  EXPECT_THAT(entries(), ElementsAre("write 1 5+16", "write 2 7+1", "zeroes 2 1+3", "flush 2 0+8192 <3", "deallocate 1 16+8",
                                     "deallocate 1 40+1", "flush 1 0+8192 <6", "flush 2 0+8192 <7"));
}

TEST_F(NvmeWriteRecordTest, WithForceUnitAccessOnlyTheBlocksOfTheCommandAreKept) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  ASSERT_EQ(io(forced(on_blocks(NvmOpcode::write, 1, 3, 2, place))), status::success);
  ASSERT_EQ(io(forced(on_blocks(NvmOpcode::write_zeroes, 1, 9, 1))), status::success);
  ASSERT_EQ(io(forced(on_blocks(NvmOpcode::read, 1, 0, 8, place))), status::success);
  EXPECT_THAT(entries(),
              ElementsAre("write 1 0+1", "write 1 3+2", "flush 1 3+2 <2", "zeroes 1 9+1", "flush 1 9+1 <4", "flush 1 0+8 <5"));
}

TEST_F(NvmeWriteRecordTest, WithoutCacheEachWriteIsKept) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  Command off = command(AdminOpcode::set_features);
  off.cdw10 = 6;  // the volatile write cache
  ASSERT_EQ(admin_status(off), status::success);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 3, 2, place)), status::success);
  EXPECT_THAT(entries(), ElementsAre("write 1 0+1", "flush 1 0+8192 <1", "flush 2 0+8192 <2", "write 1 3+2", "flush 1 3+2 <4"));
}

TEST_F(NvmeWriteRecordTest, AShutdownIsAFlush) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  set(offset::cc, enabled | 1u << 14);
  ASSERT_TRUE(await_status(csts::shutdown_complete, csts::shutdown_complete));
  EXPECT_THAT(entries(), ElementsAre("write 1 0+1", "flush 1 0+8192 <1", "flush 2 0+8192 <2"));
}

// Blocks that several threads write at once end up as the record has them.
TEST_F(NvmeWriteRecordTest, AnyHistoryOfSeveralQueuesMakesTheSameDisksAgain) {
  SCOPED_TRACE(fmt::format("SWIOMMU_SEED={}", conformance::seed()));
  std::mt19937_64 random(conformance::seed());
  std::vector<DriverQueue> queues{queue};
  for (std::uint16_t id = 2; id <= 4; id++) queues.push_back(create_pair(id));
  std::uint64_t const buffers = allocate(32 * page);
  std::span const bytes(data(buffers), 32 * page);
  for (std::byte& each : bytes) each = static_cast<std::byte>(random());
  for (unsigned round = 0; round < conformance::effort(40); round++) {
    for (DriverQueue& each : queues) {
      for (int n = 0; n < 16; n++) {
        std::uint32_t const nsid = 1 + random() % 2;
        std::uint64_t const buffer = buffers + random() % 31 * page, start = random() % 16;
        auto const count = static_cast<std::uint32_t>(1 + random() % (nsid == 1 ? 8 : 2));
        Command c =
            on_blocks(random() % 4 == 0 ? NvmOpcode::write_zeroes : NvmOpcode::write, nsid, start, count, buffer, buffer + page);
        (void)put(each, random() % 8 == 0 ? flush(nsid) : random() % 8 == 0 ? forced(c) : c);
      }
      ring_tail(each);
    }
    for (DriverQueue& each : queues) {
      for (int n = 0; n < 16; n++) ASSERT_EQ(status_of(take(each)), status::success);
      ring_head(each);
    }
  }
  EXPECT_TRUE(makes_again(1, disk));
  EXPECT_TRUE(makes_again(2, large_blocks));
}

TEST_F(NvmeWriteRecordTest, ARecordBelongsToOneControllerAndOneHistory) {
  auto const refused = [&] {
    auto const made = make_nvme(slot, options());
    EXPECT_FALSE(made);
    return made ? Error{0, ""} : made.error();
  };
  Error error = refused();
  EXPECT_EQ(error.code, EBUSY);
  EXPECT_THAT(error.about, HasSubstr("belongs to another controller"));
  model.reset();
  plug();  // nothing has been recorded
  enable();
  queue = create_pair(1);
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  model.reset();
  error = refused();
  EXPECT_EQ(error.code, EEXIST);
  EXPECT_THAT(error.about, HasSubstr("has writes in it already"));
}

TEST_F(NvmeWriteRecordTest, WhatIsNoRecordIsLeftAlone) {
  auto all = options();
  for (Disk const* const each : {&disk, &large_blocks}) {
    all.record = each->path();
    auto const made = make_nvme(slot, all);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, EINVAL);
    EXPECT_EQ(made.error().about, std::string(each->path()) + " has something in it that is no record of writes");
  }
  for (auto const& [path, code] : {std::pair("/dev/full", EINVAL), {"/tmp", EISDIR}, {"/nonexistent/record", ENOENT}}) {
    all.record = path;
    auto const made = make_nvme(slot, all);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, code) << path;
  }
}

// Files in memory that are sealed once the controller has them open.
struct NvmeBrokenRecordTest : NvmeWriteRecordTest {
  NvmeOptions options() override {
    EXPECT_EQ(::ftruncate(file.get(), blocks * 512), 0);
    auto all = NvmeWriteRecordTest::options();
    all.namespaces[0].path = fmt::format("/proc/self/fd/{}", file.get());
    all.record = fmt::format("/proc/self/fd/{}", record_file.get());
    return all;
  }
  std::uint64_t recorded() {
    return RecordReader::open(fmt::format("/proc/self/fd/{}", record_file.get())).value().entries().size();
  }
  Descriptor file{::memfd_create("disk", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  Descriptor record_file{::memfd_create("record", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
};

TEST_F(NvmeBrokenRecordTest, WhatCannotBeRecordedIsNotDone) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  ASSERT_EQ(::fcntl(record_file.get(), F_ADD_SEALS, F_SEAL_GROW), 0);
  data(place)[0] = std::byte{1};
  Completion const failed = run(queue, on_blocks(NvmOpcode::write, 1, 0, 1, place));
  EXPECT_EQ(status_of(failed), status::write_lost);
  EXPECT_NE(failed.status & 1 << 15, 0) << "no use to try again";
  std::byte first{};
  ASSERT_EQ(::pread(file.get(), &first, 1, 0), 1);
  EXPECT_EQ(first, std::byte{0});
  for (Command const& c : {on_blocks(NvmOpcode::write, 2, 0, 1, place), on_blocks(NvmOpcode::write_zeroes, 1, 0, 1), deallocate(),
                           flush(1), flush(every_namespace)})
    EXPECT_EQ(io(c), status::write_lost) << "opcode " << unsigned{c.opcode};
  EXPECT_EQ(io(on_blocks(NvmOpcode::read, 1, 0, 1, place)), status::success);
  EXPECT_EQ(recorded(), 1u);
}

TEST_F(NvmeBrokenRecordTest, NothingIsKeptAnyMoreOnceTheRecordSaysWhatWasNotDone) {
  ASSERT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::success);
  ASSERT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write, 1, 0, 1, place)), status::write_fault);
  EXPECT_EQ(io(flush(1)), status::write_lost);
  EXPECT_EQ(io(on_blocks(NvmOpcode::write, 2, 0, 1, place)), status::write_lost);
  EXPECT_EQ(recorded(), 2u);
}

}  // namespace
}  // namespace swiommu::vfio::nvme
