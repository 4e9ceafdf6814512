// What the program prints, and its exit status.
#include <nlohmann/json.hpp>

#include "run_program.h"

namespace swiommu {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> lines_of(std::string const& text) {
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
    lines.push_back(text.substr(start, end - start));
  EXPECT_EQ(start, text.size()) << "the last line has no end";
  return lines;
}

std::vector<std::string> keys_of(std::string const& line) {
  std::vector<std::string> keys;
  Json const json = Json::parse(line);
  for (auto const& [key, value] : json.items()) keys.push_back(key);
  return keys;
}

TEST(Program, TranslatesInTheOrderAsked) {
  auto const run = run_program(
      {"translate", "--json", "--case", corpus("vtd-fs-vfio-nvme"), "0x4a04c008", "0", "0x4594f010:w", "0x4a04c008:w"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err, "");
  auto const lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0],
            R"({"iova":"0x4a04c008","access":"r","output":"0x144c49008","page_size":4096,"readable":true,"writable":true})");
  EXPECT_EQ(keys_of(lines[1]), (std::vector<std::string>{"iova", "access", "fault", "level", "entry"}));
  EXPECT_TRUE(lines[1].starts_with(R"({"iova":"0x0","access":"r","fault":"not-mapped","level":)")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with(R"({"iova":"0x4594f010","access":"w",)")) << lines[2];
  EXPECT_EQ(lines[3],
            R"({"iova":"0x4a04c008","access":"w","output":"0x144c49008","page_size":4096,"readable":true,"writable":true})");
}

TEST(Program, ReportsZeroWhenEveryAccessIsPossible) {
  for (bool const json : {false, true}) {
    std::vector<std::string> arguments{"translate", "--case", corpus("s390-vfio-nvme"), "0x16afc2008", "6124687376"};
    if (json) arguments.push_back("--json");
    auto const run = run_program(arguments);
    EXPECT_EQ(run.status, 0);
    EXPECT_EQ(run.err, "");
    EXPECT_NE(run.out.find("0x3ffd6008"), std::string::npos);
    EXPECT_NE(run.out.find("0x3ff74010"), std::string::npos);
  }
}

TEST(Program, GivesTheSameByCaseByRegistersAndByRoot) {
  std::string const memory = corpus("vtd-fs-vfio-nvme/memory.elf.zst");
  auto const by_case = run_program({"dump", "--json", "--case", corpus("vtd-fs-vfio-nvme")});
  Json const recorded = Json::parse(content_of(corpus("vtd-fs-vfio-nvme/case.json")));
  auto const by_registers = run_program({"dump", "--json", "--memory", memory, "--iommu", "vtd", "--register",
                                         "rtaddr=" + recorded["registers"]["RTADDR"].get<std::string>(), "--device", "00:05.0"});
  auto const by_root =
      run_program({"dump", "--json", "--memory", memory, "--format", "vtd-fs", "--root", recorded["root"].get<std::string>()});
  EXPECT_EQ(by_case.status, 0);
  EXPECT_FALSE(by_case.out.empty());
  EXPECT_EQ(by_registers.out, by_case.out);
  EXPECT_EQ(by_root.out, by_case.out);
}

TEST(Program, DumpsWhatWasRecorded) {
  auto const run = run_program({"dump", "--json", "--case", corpus("amd-v1-vfio-nvme")});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.err, "");
  Json const recorded = Json::parse(content_of(corpus("amd-v1-vfio-nvme/case.json")));
  auto const lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), recorded["mappings"].size());
  for (std::size_t n = 0; n < lines.size(); n++) {
    Json const& m = recorded["mappings"][n];
    Json expected;
    for (char const* const key : {"iova", "last", "output", "readable", "writable"}) expected[key] = m[key];
    expected["page_size"] = std::uint64_t{1} << m["page_size_lg2"].get<unsigned>();
    EXPECT_EQ(lines[n], expected.dump());
  }
}

TEST(Program, StopsADumpAtTheLimit) {
  auto const run = run_program({"dump", "--json", "--limit", "10", "--case", corpus("amd-v1-igb")});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(lines_of(run.err).size(), 1u);
  EXPECT_NE(run.err.find("10"), std::string::npos);
}

TEST(Program, ListsFormatsThatItReads) {
  auto const run = run_program({"formats", "--json"});
  EXPECT_EQ(run.status, 0);
  auto const lines = lines_of(run.out);
  EXPECT_GE(lines.size(), 19u);
  ScratchFolder const scratch;
  auto const empty = scratch.file("zeros", std::string(65536, '\0'));
  for (std::string const& line : lines) {
    Json const format = Json::parse(line);
    std::vector<std::string> arguments{"dump",    "--json", "--memory", empty,      "--raw",
                                       "0x10000", "--root", "0x10000",  "--format", format["format"]};
    if (format["format"] == "amd-v1" || format["format"] == "vtd-second-stage" || format["format"] == "x86-64") {
      arguments.push_back("--levels");
      arguments.push_back(std::to_string(format["levels"].get<unsigned>()));
    }
    auto const dump = run_program(arguments);
    EXPECT_EQ(dump.status, 0) << line << dump.err;
  }
}

TEST(Program, DemonstratesOneCase) {
  auto const run = run_program({"demo", "--json", "--case", corpus("s390-virtio-net")});
  EXPECT_EQ(run.status, 0);
  auto const lines = lines_of(run.out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(keys_of(lines[0]), (std::vector<std::string>{"case", "checks", "failures"}));
  Json const line = Json::parse(lines[0]);
  EXPECT_EQ(line["case"], "s390-virtio-net");
  EXPECT_GT(line["checks"].get<unsigned>(), 100u);
  EXPECT_EQ(line["failures"], 0);
}

TEST(Program, ExplainsItselfWithExamples) {
  EXPECT_EQ(run_program({"--help"}).status, 0);
  EXPECT_EQ(run_program({"--version"}).out.substr(0, 8), "swiommu ");
  for (char const* const command : {"formats", "translate", "dump", "demo"}) {
    auto const run = run_program({command, "--help"});
    EXPECT_EQ(run.status, 0);
    EXPECT_NE(run.out.find(std::string("  swiommu ") + command), std::string::npos) << run.out;
    EXPECT_NE(run.out.find("Exit status"), std::string::npos);
  }
}

std::vector<std::vector<std::string>> commands_that_print() {
  return {{"--help"},
          {"formats"},
          {"dump", "--case", corpus("vtd-fs-igb")},
          {"dump", "--json", "--case", corpus("vtd-fs-igb")},
          {"translate", "--case", corpus("vtd-fs-igb"), "0xfff00000"},
          {"demo", "--quiet", "--case", corpus("s390-virtio-net")}};
}

TEST(Program, SaysThatItsOutputCannotBeWritten) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  for (auto const& arguments : commands_that_print()) {
    auto const run = run_program(arguments, "/dev/full");
    EXPECT_EQ(run.status, 2) << arguments.front();
    EXPECT_EQ(run.err, "swiommu: standard output cannot be written\n") << arguments.front();
  }
}

TEST(Program, EndsQuietlyWhenItsReaderIsGone) {
  for (auto const& arguments : commands_that_print()) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    auto const run = run_program(arguments, nullptr, ends[1]);
    ::close(ends[1]);
    EXPECT_EQ(run.status, 2) << arguments.front();
    EXPECT_EQ(run.err, "") << arguments.front();
  }
}

}  // namespace
}  // namespace swiommu
