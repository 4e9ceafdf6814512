#include "vfio/devices/nvme/record_reader.h"

#include <gmock/gmock.h>

#include "vfio/devices/nvme/record_fixture.h"

namespace swiommu::vfio::nvme {
namespace {

using testing::HasSubstr;

struct NvmeRecordReaderTest : RecordTest {
  void make() {
    auto const record = create();
    ASSERT_EQ(write(*record, 3, 2, 1), status::success);
    ASSERT_EQ(record->append({.kind = RecordKind::zeroes, .nsid = 2, .offset = 4096, .length = 8192}), status::success);
    ASSERT_EQ(record->append({.kind = RecordKind::deallocate, .nsid = 1, .offset = 0, .length = 512}), status::success);
    ASSERT_EQ(flush(*record, 2, 1, 7), status::success);
    ASSERT_EQ(write(*record, 0, 1, 9), status::success);
  }
  std::string refusal() {
    auto reader = RecordReader::open(file.path());
    if (!reader) return reader.error().about;
    for (std::uint64_t number = 0; number < reader->entries().size(); number++)
      if (auto const data = reader->data(number); !data) return data.error().about;
    return "accepted";
  }
};

TEST_F(NvmeRecordReaderTest, WhatWasRecordedIsRead) {
  make();
  auto reader = RecordReader::open(file.path()).value();
  ASSERT_EQ(reader.namespaces().size(), 2u);
  EXPECT_EQ(reader.namespaces()[1].bytes, blocks * 4096);
  EXPECT_EQ(reader.namespaces()[1].block_bytes, 4096u);
  ASSERT_EQ(reader.entries().size(), 5u);
  EXPECT_FALSE(reader.cut_off());
  EXPECT_EQ(reader.entries()[0].kind, RecordKind::write);
  EXPECT_EQ(reader.entries()[0].offset, 3u * 512);
  EXPECT_TRUE(std::ranges::equal(reader.data(0).value(), filled(1024, 1)));
  EXPECT_EQ(reader.entries()[1].kind, RecordKind::zeroes);
  EXPECT_EQ(reader.entries()[1].nsid, 2u);
  EXPECT_EQ(reader.entries()[1].length, 8192u);
  EXPECT_TRUE(reader.data(1).value().empty());
  EXPECT_EQ(reader.entries()[2].kind, RecordKind::deallocate);
  EXPECT_EQ(reader.entries()[3].kind, RecordKind::flush);
  EXPECT_EQ(reader.entries()[3].before, 2u);
  EXPECT_EQ(reader.entries()[3].end(), 8u * 512);
  EXPECT_TRUE(std::ranges::equal(reader.data(4).value(), filled(512, 9)));
}

TEST_F(NvmeRecordReaderTest, OneWithoutEntriesIsARecord) {
  (void)create();
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(NvmeRecordReaderTest, EveryByteThatIsDamagedIsFound) {
  make();
  std::string const sound = contents();
  BackingFile const opened(Descriptor(::open(file.path(), O_WRONLY | O_CLOEXEC)));
  for (std::size_t at = 0; at < sound.size(); at++) {
    auto const byte = static_cast<std::byte>(sound[at]), damaged = byte ^ static_cast<std::byte>(1 << at % 8);
    ASSERT_TRUE(opened.write(at, std::span(&damaged, 1)));
    ASSERT_NE(refusal(), "accepted") << "byte " << at;
    ASSERT_TRUE(opened.write(at, std::span(&byte, 1)));
  }
  EXPECT_EQ(refusal(), "accepted");
}

TEST_F(NvmeRecordReaderTest, ATailThatIsMissingTakesNoOtherEntryAway) {
  make();
  std::string const sound = contents();
  std::size_t const beginning = sizeof(RecordStart) + 2 * sizeof(RecordedNamespace), head = sizeof(RecordEntry);
  std::size_t const ends[] = {beginning + head + 1024, beginning + 2 * head + 1024, beginning + 3 * head + 1024,
                              beginning + 4 * head + 1024, sound.size()};
  for (std::size_t size = sound.size() + 1; size-- > 0;) {
    ASSERT_EQ(::truncate(file.path(), static_cast<off_t>(size)), 0);
    auto const reader = RecordReader::open(file.path());
    ASSERT_EQ(reader.has_value(), size >= beginning) << size;
    if (!reader) continue;
    EXPECT_EQ(reader->entries().size(),
              static_cast<std::size_t>(std::ranges::count_if(ends, [&](auto end) { return end <= size; })));
    EXPECT_EQ(reader->cut_off(), size != beginning && std::ranges::find(ends, size) == std::end(ends)) << size;
  }
}

TEST_F(NvmeRecordReaderTest, EntriesCannotStandInEachOthersPlace) {
  auto const record = create();
  ASSERT_EQ(write(*record, 0, 1, 1), status::success);
  ASSERT_EQ(write(*record, 1, 1, 1), status::success);
  std::string const sound = contents();
  std::size_t const beginning = sizeof(RecordStart) + 2 * sizeof(RecordedNamespace), entry = sizeof(RecordEntry) + 512;
  replace(sound.substr(0, beginning) + sound.substr(beginning + entry) + sound.substr(beginning, entry));
  EXPECT_THAT(refusal(), HasSubstr("entry 0 of the record"));
  replace(sound.substr(0, beginning) + sound.substr(beginning + entry));
  EXPECT_THAT(refusal(), HasSubstr("entry 0 of the record"));
}

TEST_F(NvmeRecordReaderTest, WhatIsNoRecordIsRefused) {
  for (std::string const& bytes : {std::string(), std::string("x"), std::string(4096, '\0'), std::string(100, 'x')}) {
    replace(bytes);
    EXPECT_THAT(refusal(), HasSubstr("is no record of writes"));
  }
  EXPECT_THAT(RecordReader::open("/nonexistent/record").error().about, HasSubstr("/nonexistent/record"));
  EXPECT_THAT(RecordReader::open("/dev/null").error().about, HasSubstr("is no regular file"));
  replace("");
  (void)create();
  std::string next = contents();
  next[16] = 2;
  replace(next);
  EXPECT_THAT(refusal(), HasSubstr("has version 2; known is 1"));
}

}  // namespace
}  // namespace swiommu::vfio::nvme
