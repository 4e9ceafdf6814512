// The device structures of real Linux guests, and corrupted ones, through SMMUv3's, RISC-V's and zPCI's context sources.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "swiommu/base/bits.h"
#include "swiommu/hardware/riscv.h"
#include "swiommu/hardware/smmuv3.h"
#include "swiommu/hardware/zpci.h"
#include "swiommu/memory/memory_image.h"

namespace swiommu {
namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

std::uint64_t number(Json const& value) { return std::stoull(value.get<std::string>(), nullptr, 0); }
std::uint32_t narrow(Json const& value) { return static_cast<std::uint32_t>(number(value)); }

Json read_json(Path const& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

std::unique_ptr<ContextSource> make_source(Json const& description, MemoryView const& memory) {
  Json const& r = description["registers"];
  if (description["iommu"] == "smmu") {
    smmuv3::Registers const registers{.strtab_base = number(r["STRTAB_BASE"]),
                                      .strtab_base_cfg = narrow(r["STRTAB_BASE_CFG"]),
                                      .cr0 = narrow(r["CR0"]),
                                      .idr0 = narrow(r["IDR0"]),
                                      .idr1 = narrow(r["IDR1"]),
                                      .idr5 = narrow(r["IDR5"])};
    return std::make_unique<smmuv3::Unit>(std::move(*smmuv3::Unit::create(registers, memory)));
  }
  if (description["iommu"] == "riscv") {
    riscv::Registers const registers{
        .capabilities = number(r["CAPABILITIES"]), .fctl = narrow(r["FCTL"]), .ddtp = number(r["DDTP"])};
    return std::make_unique<riscv::Unit>(std::move(*riscv::Unit::create(registers, memory)));
  }
  return std::make_unique<zpci::Function>(std::move(*zpci::Function::create({.iota = number(r["IOTA"])}, memory)));
}

// Calls `visit(directory, case.json, memory)` for each case of these IOMMUs under `folder`; returns their number.
template <class Visit>
unsigned for_each_case(Path const& folder, Visit visit) {
  unsigned cases = 0;
  std::error_code absent;  // then there are no cases, which the tests refuse
  for (auto const& directory : std::filesystem::directory_iterator(folder, absent)) {
    if (!std::filesystem::exists(directory.path() / "case.json")) continue;
    Json const description = read_json(directory.path() / "case.json");
    auto const iommu = description["iommu"].get<std::string>();
    if (iommu != "smmu" && iommu != "riscv" && iommu != "s390") continue;
    SCOPED_TRACE(directory.path().filename().string());
    auto const memory = MemoryImage::load(directory.path() / "memory.elf.zst");
    EXPECT_TRUE(memory) << memory.error().message();
    if (!memory) continue;
    visit(directory.path(), description, **memory);
    cases++;
  }
  return cases;
}

unsigned address_bits(FormatConfiguration const& format) {
  switch (format.format) {
    case FormatName::riscv: return 12 + 9 * format.levels;
    case FormatName::s390_zpci: return 20 + 11 * (format.levels - 1);
    default: return format.input_bits;
  }
}

FormatName format_name(std::string const& recorded) {
  if (recorded.starts_with("arm-lpae-s1")) return FormatName::arm_stage1;
  if (recorded.starts_with("arm-lpae-s2")) return FormatName::arm_stage2;
  return recorded.starts_with("riscv") ? FormatName::riscv : FormatName::s390_zpci;
}

void expect_as_recorded(DeviceConfiguration const& found, Json const& description) {
  EXPECT_EQ(found.kind, DeviceConfiguration::Kind::translate);
  EXPECT_FALSE(found.parent || found.user_upper || found.lower_blocked);
  ASSERT_TRUE(found.user);
  FormatConfiguration const& format = found.user->format;
  EXPECT_EQ(found.user->root, number(description["root"]));
  EXPECT_EQ(format.format, format_name(description["format"].get<std::string>()));
  EXPECT_EQ(format.levels, description["levels"].get<unsigned>());
  EXPECT_EQ(address_bits(format), description["address_bits"].get<unsigned>());
  EXPECT_EQ(found.user->big_endian, description["byte_order"] == "big");
  if (description["iommu"] == "smmu") {
    EXPECT_EQ(format.granule_lg2, description["granule_lg2"].get<unsigned>());
  }
  Json const& anchors = description["anchors"];
  if (anchors.contains("mair")) {
    EXPECT_EQ(format.memory_attributes, number(anchors["mair"]));
  }
  // Each structure that the recorder noted is on the way, where it was.
  for (auto const& [address, words] : {std::pair("ste_address", "ste"), {"cd_address", "cd"}, {"dc_address", "dc"}}) {
    if (!anchors.contains(address)) continue;
    std::vector<std::uint64_t> recorded;
    for (auto const& word : anchors[words]) recorded.push_back(number(word));
    bool met = false;
    for (auto const& step : found.steps) met = met || (step.address == number(anchors[address]) && step.words == recorded);
    EXPECT_TRUE(met) << address;
  }
  for (auto const& step : found.steps) EXPECT_FALSE(step.what.empty() || step.meaning.empty() || step.words.empty());
}

TEST(ContextCorpus, FindsThePageTableOfEachRecordedDevice) {
  unsigned const cases = for_each_case(SWIOMMU_TEST_CORPUS, [](Path const&, Json const& description, MemoryImage const& memory) {
    auto const found = make_source(description, memory)->find(narrow(description["device"]["id"]), {});
    ASSERT_TRUE(found) << found.error().about;
    expect_as_recorded(*found, description);
  });
  EXPECT_GE(cases, 9u);
}

// What the corrupted structures lead to. Mutations that are not listed are in page tables, and change nothing here.
std::map<std::string, char const*> const faults = {
    {"ste-not-valid", "C_BAD_STE"}, {"ste-abort", "aborts all DMA"}, {"ste-cd-outside", "F_CD_FETCH"},
    {"cd-not-valid", "C_BAD_CD"},   {"cd-aa64-clear", "C_BAD_CD"},   {"cd-t0sz-too-small", "C_BAD_CD"},
};

void expect_hostile(std::expected<DeviceConfiguration, ConfigurationFault> const& found, std::string const& name,
                    Json const& description, MemoryView const& memory) {
  if (auto const fault = faults.find(name); fault != faults.end()) {
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().about.find(fault->second), std::string::npos) << found.error().about;
    EXPECT_FALSE(found.error().steps.empty());
    return;
  }
  ASSERT_TRUE(found) << found.error().about;
  if (name == "ste-bypass") {
    EXPECT_EQ(found->kind, DeviceConfiguration::Kind::bypass);
  } else if (name == "cd-epd0") {
    EXPECT_EQ(found->kind, DeviceConfiguration::Kind::translate);
    EXPECT_TRUE(found->lower_blocked);
    EXPECT_FALSE(found->user || found->user_upper);
  } else if (name == "cd-ttb-outside") {
    ASSERT_TRUE(found->user);  // the walk will not find it
    EXPECT_FALSE(memory.load_word(found->user->root));
  } else {
    expect_as_recorded(*found, description);
  }
}

void write_word(MemoryView const& memory, Json const& write, char const* which, bool big_endian) {
  std::uint64_t const word = number(write[which]);
  std::array<unsigned char, 8> bytes{};
  for (unsigned n = 0; n < 8; n++) bytes[big_endian ? 7 - n : n] = static_cast<unsigned char>(word >> 8 * n);
  ASSERT_EQ(memory.write(number(write["address"]), bytes.data(), bytes.size()), bytes.size());
}

TEST(ContextCorpus, SeesCorruptedStructuresOnly) {
  std::size_t seen = 0;
  unsigned const cases = for_each_case(
      Path(SWIOMMU_TEST_CORPUS) / "hostile", [&](Path const& directory, Json const& description, MemoryImage const& memory) {
        Json const hostile = read_json(directory / "mutations.json");
        bool const big_endian = hostile["byte_order"] == "big";
        auto const source = make_source(description, memory);
        for (Json const& mutation : hostile["mutations"]) {
          auto const name = mutation["name"].get<std::string>();
          SCOPED_TRACE(name);
          for (Json const& write : mutation["writes"]) {
            ASSERT_EQ(memory.load_word(number(write["address"]), big_endian), number(write["old"]));
            write_word(memory, write, "new", big_endian);
          }
          expect_hostile(source->find(narrow(description["device"]["id"]), {}), name, description, memory);
          for (Json const& write : mutation["writes"]) write_word(memory, write, "old", big_endian);
          seen += faults.contains(name);
        }
      });
  EXPECT_GE(cases, 2u);
  EXPECT_EQ(seen, faults.size());
}

}  // namespace
}  // namespace swiommu
