// The device structures of real Linux guests, and corrupted ones, through VT-d's and AMD's context sources.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "corpus_memory.h"
#include "swiommu/hardware/amd.h"
#include "swiommu/hardware/vtd.h"

namespace swiommu {
namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

std::uint64_t number(Json const& value) { return std::stoull(value.get<std::string>(), nullptr, 0); }

Json read_json(Path const& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

std::string format_name(Json const& value) {
  auto const name = value.get<std::string>();
  return name == "vtd-first-stage" ? "x86-64" : name;
}

std::string format_name(FormatName format) {
  switch (format) {
    case FormatName::vtd_second_stage: return "vtd-second-stage";
    case FormatName::x86_64: return "x86-64";
    case FormatName::amd_v1: return "amd-v1";
    default: return "?";
  }
}

std::unique_ptr<ContextSource> make_source(Json const& description, MemoryView const& memory) {
  Json const& r = description["registers"];
  if (description["iommu"] == "vtd") {
    auto unit = vtd::Unit::create({.root_table_address = number(r["RTADDR"]),
                                   .capability = number(r["CAP"]),
                                   .extended_capability = number(r["ECAP"]),
                                   .global_status = number(r["GSTS"])},
                                  memory);
    return std::make_unique<vtd::Unit>(std::move(*unit));
  }
  auto unit = amd::Unit::create({.device_table_base = number(r["DEVTAB"]),
                                 .control = number(r["CONTROL"]),
                                 .extended_features = number(r["EXTFEAT"]),
                                 .status = number(r["STATUS"])},
                                memory);
  return std::make_unique<amd::Unit>(std::move(*unit));
}

// Calls `visit(directory, case.json)` for each case of these IOMMUs under `folder`; returns their number.
template <class Visit>
unsigned for_each_case(Path const& folder, Visit visit) {
  unsigned cases = 0;
  std::error_code absent;  // then there are no cases, which the tests refuse
  for (auto const& directory : std::filesystem::directory_iterator(folder, absent)) {
    if (!std::filesystem::exists(directory.path() / "case.json")) continue;
    Json const description = read_json(directory.path() / "case.json");
    if (description["iommu"] != "vtd" && description["iommu"] != "amd") continue;
    SCOPED_TRACE(directory.path().filename().string());
    visit(directory.path(), description);
    cases++;
  }
  return cases;
}

void expect_as_recorded(DeviceConfiguration const& found, Json const& description) {
  EXPECT_EQ(found.kind, DeviceConfiguration::Kind::translate);
  EXPECT_EQ(found.rights, Access::both());
  EXPECT_FALSE(found.parent);
  ASSERT_TRUE(found.user);
  EXPECT_EQ(found.user->root, number(description["root"]));
  EXPECT_EQ(found.user->format.levels, description["levels"].get<unsigned>());
  EXPECT_EQ(format_name(found.user->format.format), format_name(description["format"]));
  EXPECT_FALSE(found.user->big_endian);
}

// The words of the entry that the recorder noted as `anchor` must be those of one of the steps.
void expect_step(DeviceConfiguration const& found, Json const& description, char const* anchor) {
  if (!description["anchors"].contains(anchor)) return;
  std::vector<std::uint64_t> words;
  for (auto const& word : description["anchors"][anchor]) words.push_back(number(word));
  bool met = false;
  for (auto const& step : found.steps) met = met || step.words == words;
  EXPECT_TRUE(met) << anchor;
}

TEST(HardwareCorpus, FindsThePageTableOfEachRecordedDevice) {
  unsigned const cases = for_each_case(SWIOMMU_TEST_CORPUS, [](Path const& directory, Json const& description) {
    WordMemory memory;
    ASSERT_TRUE(load_corpus_memory(directory / "memory.elf.zst", memory));
    auto const source = make_source(description, memory);
    auto const found = source->find(static_cast<std::uint32_t>(number(description["device"]["id"])), {});
    ASSERT_TRUE(found) << found.error().about;
    expect_as_recorded(*found, description);
    for (char const* const anchor : {"context_entry", "pasid_entry", "dte"}) expect_step(*found, description, anchor);
    for (auto const& step : found->steps) EXPECT_FALSE(step.what.empty());
  });
  EXPECT_GE(cases, 6u);
}

// A corrupted word of a structure on the way blocks the device, or leads to a table that is not there; any other word
// changes nothing here.
TEST(HardwareCorpus, SeesCorruptedStructuresOnly) {
  unsigned faults = 0;
  unsigned const cases =
      for_each_case(Path(SWIOMMU_TEST_CORPUS) / "hostile", [&](Path const& directory, Json const& description) {
        Json const hostile = read_json(directory / "mutations.json");
        auto const device = static_cast<std::uint32_t>(number(description["device"]["id"]));
        WordMemory memory;
        ASSERT_TRUE(load_corpus_memory(directory / "memory.elf.zst", memory));
        auto const source = make_source(description, memory);
        auto const before = source->find(device, {});
        ASSERT_TRUE(before) << before.error().about;
        for (Json const& mutation : hostile["mutations"]) {
          SCOPED_TRACE(mutation["name"].get<std::string>());
          bool on_the_way = false;
          for (Json const& write : mutation["writes"]) {
            std::uint64_t const address = number(write["address"]);
            ASSERT_EQ(memory.at(address), number(write["old"]));
            memory.at(address) = number(write["new"]);
            for (auto const& step : before->steps)
              on_the_way =
                  on_the_way || (step.address != 0 && address >= step.address && address < step.address + 8 * step.words.size());
          }
          auto const after = source->find(device, {});
          for (Json const& write : mutation["writes"]) memory.at(number(write["address"])) = number(write["old"]);
          if (!on_the_way) {
            ASSERT_TRUE(after) << after.error().about;
            expect_as_recorded(*after, description);
          } else if (after) {
            ASSERT_TRUE(after->user);
            EXPECT_FALSE(memory.load_word(after->user->root));
          } else {
            faults++;
            EXPECT_FALSE(after.error().about.empty());
            EXPECT_FALSE(after.error().steps.empty());
          }
        }
      });
  EXPECT_GE(cases, 1u);
  EXPECT_GE(faults, 8u);
}

}  // namespace
}  // namespace swiommu
