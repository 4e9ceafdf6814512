// A case of the corpus with what was recorded about it, for tests: no other code reads the expectations.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "swiommu/base/bits.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/mapping_visit.h"
#include "tools/case_folder.h"

namespace swiommu {

using Json = nlohmann::json;

// A run of mappings that are alike, as case.json lists them.
struct RecordedMapping {
  Range range;
  std::uint64_t output = 0;
  Access access;
  unsigned size_lg2 = 0;
  bool operator==(RecordedMapping const&) const = default;
};

inline void PrintTo(RecordedMapping const& m, std::ostream* out) {
  *out << std::hex << m.range.start << "-" << m.range.last << " -> " << m.output << " " << (m.access.read ? "r" : "-")
       << (m.access.write ? "w" : "-") << " 2^" << std::dec << m.size_lg2;
}

struct RecordedSample {
  std::uint64_t iova = 0;
  Access access;
  std::optional<std::uint64_t> output;  // nothing: a fault
  std::vector<std::byte> content;       // that lies there, as far as it was recorded
};

// One word of guest memory that somebody broke.
struct WordChange {
  std::uint64_t address = 0, before = 0, after = 0;
};

struct Mutation {
  std::string name;
  std::vector<WordChange> writes;
  std::vector<RecordedSample> samples;
};

inline std::uint64_t json_number(Json const& value) {
  return value.is_string() ? std::stoull(value.get<std::string>(), nullptr, 0) : value.get<std::uint64_t>();
}

inline Json read_json(std::filesystem::path const& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

inline RecordedSample read_sample(Json const& json) {
  RecordedSample sample{.iova = json_number(json["iova"]),
                        .access = json["access"] == "write" ? Access::writing() : Access::reading(),
                        .output = {},
                        .content = {}};
  if (json["expect"] != "fault") sample.output = json_number(json["expect"]);
  auto const digits = json.value("content", "");
  for (std::size_t n = 0; n + 1 < digits.size(); n += 2)
    sample.content.push_back(static_cast<std::byte>(std::stoul(digits.substr(n, 2), nullptr, 16)));
  return sample;
}

inline std::vector<RecordedSample> read_samples(Json const& json) {
  std::vector<RecordedSample> samples;
  for (Json const& sample : json) samples.push_back(read_sample(sample));
  return samples;
}

// Appends, joined with the last one if it goes on there.
inline void append_mapping(std::vector<RecordedMapping>& all, RecordedMapping const& next) {
  if (!all.empty()) {
    RecordedMapping& last = all.back();
    if (last.range.last + 1 == next.range.start && next.range.start != 0 && last.output + last.range.length() == next.output &&
        last.access == next.access && last.size_lg2 == next.size_lg2) {
      last.range.last = next.range.last;
      return;
    }
  }
  all.push_back(next);
}

inline std::vector<RecordedMapping> read_mappings(Json const& json) {
  std::vector<RecordedMapping> mappings;
  for (Json const& m : json)
    append_mapping(mappings, {{json_number(m["iova"]), json_number(m["last"])},
                              json_number(m["output"]),
                              {m["readable"].get<bool>(), m["writable"].get<bool>()},
                              m["page_size_lg2"].get<unsigned>()});
  return mappings;
}

// The mappings of a domain in the same form; memory types are not recorded and join nothing apart.
inline std::vector<RecordedMapping> mappings_of(Domain const& domain) {
  std::vector<RecordedMapping> mappings;
  visit_coalesced(domain, Range::all(), [&](MappedRange const& m) {
    append_mapping(mappings, {m.range, m.output, m.attributes.access, m.size_lg2});
    return true;
  });
  return mappings;
}

inline std::vector<Mutation> read_mutations(std::filesystem::path const& folder) {
  std::vector<Mutation> mutations;
  Json const file = read_json(folder / "mutations.json");
  for (Json const& json : file["mutations"]) {
    Mutation mutation{.name = json["name"], .writes = {}, .samples = read_samples(json["samples"])};
    for (Json const& write : json["writes"])
      mutation.writes.push_back({json_number(write["address"]), json_number(write["old"]), json_number(write["new"])});
    mutations.push_back(std::move(mutation));
  }
  return mutations;
}

// Writes the words into memory, as they are after the change or before it. Memory must hold the other ones.
inline void change_words(MemoryView const& memory, std::vector<WordChange> const& changes, bool apply, bool big_endian) {
  for (WordChange const& change : changes) {
    ASSERT_EQ(memory.load_word(change.address, big_endian), apply ? change.before : change.after);
    std::uint64_t const value = apply ? change.after : change.before;
    std::uint64_t const stored = big_endian ? __builtin_bswap64(value) : value;
    ASSERT_EQ(memory.write(change.address, &stored, sizeof stored), sizeof stored);
  }
}

// All folders under the corpus that hold a case; those with mutations, or those without.
inline std::vector<std::string> corpus_folders(bool with_mutations) {
  std::vector<std::string> folders;
  std::error_code absent;
  for (auto const& entry : std::filesystem::recursive_directory_iterator(SWIOMMU_TEST_CORPUS, absent))
    if (entry.path().filename() == "case.json" &&
        std::filesystem::exists(entry.path().parent_path() / "mutations.json") == with_mutations)
      folders.push_back(entry.path().parent_path().string());
  std::ranges::sort(folders);
  return folders;
}

// A folder's name as the name of a test.
inline std::string corpus_test_name(testing::TestParamInfo<std::string> const& info) {
  std::string name = std::filesystem::path(info.param).lexically_relative(SWIOMMU_TEST_CORPUS).string();
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

// What the device's structures lead to, in this memory.
inline std::expected<DeviceConfiguration, ConfigurationFault> find_device(tools::Case const& description,
                                                                          MemoryView const& memory) {
  auto const iommu = tools::open_iommu(description.iommu, description.registers, tools::UnknownRegisters::ignore, memory);
  EXPECT_TRUE(iommu) << iommu.error().about;
  if (!iommu) return std::unexpected(ConfigurationFault{});
  return (*iommu)->find(description.device, std::nullopt);
}

}  // namespace swiommu
