// `swiommu replay`: what it prints and makes, and what it refuses.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "run_program.h"
#include "vfio/devices/nvme/write_record.h"

namespace swiommu {
namespace {

using namespace vfio::nvme;
using testing::HasSubstr;
using testing::StartsWith;

// A namespace of eight blocks: two writes of which a flush keeps the first.
struct ReplayProgram : testing::Test {
  void SetUp() override {
    RecordedNamespace const namespaces[] = {{4096, 512}};
    auto const made = WriteRecord::create(record, namespaces).value();
    for (std::uint64_t n = 0; n < 2; n++) {
      std::vector<std::byte> const data(1024, static_cast<std::byte>('a' + n));
      std::uint64_t end = 0;
      auto const done = [] { return status::success; };
      ASSERT_EQ(made->append({.kind = RecordKind::write, .nsid = 1, .offset = n * 1024, .length = 1024}, data, done, end),
                status::success);
      if (n != 0) continue;
      ASSERT_EQ(made->append({.kind = RecordKind::flush, .nsid = 1, .length = 4096, .before = end}), status::success);
    }
  }
  static std::string block(char of) { return std::string(512, of); }
  std::string made(std::vector<std::string> const& more) {
    std::filesystem::remove(image);
    std::vector<std::string> arguments{"replay", record, "--onto", image};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto const run = run_program(arguments);
    EXPECT_EQ(run.status, 0) << run.err;
    said = run.out;
    return content_of(image);
  }
  std::string refusal(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "replay");
    auto const run = run_program(arguments);
    EXPECT_EQ(run.status, 2);
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
    return run.err;
  }
  ScratchFolder const folder;
  std::string const record = (folder.path() / "record").string(), image = (folder.path() / "image").string();
  std::string said;
};

TEST_F(ReplayProgram, ListsWhatWasDone) {
  auto const text = run_program({"replay", record, "--list"});
  EXPECT_EQ(text.status, 0);
  EXPECT_EQ(text.out,
            "   ENTRY KIND       NAMESPACE          OFFSET      LENGTH   BEFORE\n"
            "       0 write              1               0        1024\n"
            "       1 flush              1               0        4096        1\n"
            "       2 write              1            1024        1024\n");
  auto const json = run_program({"replay", record, "--list", "--json"});
  EXPECT_THAT(json.out, HasSubstr(R"({"entry":1,"kind":"flush","namespace":1,"offset":0,"length":4096,"before":1})"));
}

TEST_F(ReplayProgram, MakesTheImageOfACut) {
  std::string const zeros(1024, '\0'), first(1024, 'a'), second(1024, 'b');
  EXPECT_EQ(made({}), first + second + zeros + zeros);
  EXPECT_EQ(said, "3 of 3 entries; of 1 changes that no flush had kept 0 are lost and 0 torn\n");
  EXPECT_EQ(made({"--lose", "all", "--json"}), first + zeros + zeros + zeros);
  EXPECT_EQ(said, R"({"entries":3,"of":3,"unflushed":1,"lost":1,"torn":0})"
                  "\n");
  EXPECT_EQ(made({"--until", "1", "--lose", "all"}), zeros + zeros + zeros + zeros);
  EXPECT_EQ(made({"--until", "2", "--lose", "all"}), first + zeros + zeros + zeros);
  EXPECT_EQ(made({"--lose", "all", "--ignore-flushes", "1"}), zeros + zeros + zeros + zeros);
  for (int seed = 0; seed < 20; seed++) EXPECT_THAT(made({"--lose", std::to_string(seed)}), StartsWith(first));
}

TEST_F(ReplayProgram, ChangesAnImageThatIsThere) {
  std::string const base(4096, 'x');
  std::string const there = folder.file("base", base);
  EXPECT_EQ(run_program({"replay", record, "--onto", there, "--until", "1"}).status, 0);
  EXPECT_EQ(content_of(there), std::string(1024, 'a') + base.substr(1024));
}

TEST_F(ReplayProgram, TellsThatTheLastEntryIsCutOff) {
  std::filesystem::resize_file(record, std::filesystem::file_size(record) - 1);
  auto const run = run_program({"replay", record, "--list"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.err, "swiommu: the entry after the last is cut off\n");
  EXPECT_EQ(std::ranges::count(run.out, '\n'), 3);
}

TEST_F(ReplayProgram, RefusesWhatItCannotDo) {
  EXPECT_THAT(refusal({}), HasSubstr("RECORD"));
  EXPECT_THAT(refusal({record}), HasSubstr("say either --list or --onto IMAGE"));
  EXPECT_THAT(refusal({record, "--list", "--onto", image}), HasSubstr("say either --list or --onto IMAGE"));
  EXPECT_THAT(refusal({image, "--list"}), HasSubstr("cannot open the record"));
  EXPECT_THAT(refusal({folder.file("garbage", std::string(999, 'x')), "--list"}), HasSubstr("is no record of writes"));
  EXPECT_THAT(refusal({record, "--onto", image, "--until", "4"}), HasSubstr("there are no 4 entries; the record has 3"));
  EXPECT_THAT(refusal({record, "--onto", image, "--until", "x"}), HasSubstr("the number of entries 'x'"));
  EXPECT_THAT(refusal({record, "--onto", image, "--namespace", "2"}), HasSubstr("there is no namespace 2; the record has 1"));
  EXPECT_THAT(refusal({record, "--onto", image, "--lose", "most"}), HasSubstr("the seed 'most'"));
  EXPECT_FALSE(std::filesystem::exists(image)) << "nothing is made for nothing";
  EXPECT_THAT(refusal({record, "--onto", folder.file("small", "x")}), HasSubstr("has 1 bytes, the namespace 4096"));
  std::string damaged = content_of(record);
  damaged[200] = static_cast<char>(damaged[200] ^ 1);  // data of the first write
  EXPECT_THAT(refusal({folder.file("damaged", damaged), "--onto", image}), HasSubstr("entry 0 of the record"));
}

}  // namespace
}  // namespace swiommu
