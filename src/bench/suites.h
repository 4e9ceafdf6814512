// What there is to measure: one file a suite.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "bench/measurement.h"
#include "profile/format_names.h"

namespace swiommu::bench {

// How much of it.
struct Scope {
  static constexpr std::uint64_t usual_most_pages = std::uint64_t{1} << 24;

  bool quick = false;
  std::uint64_t most_pages = usual_most_pages;  // of any working set
  std::vector<NamedFormat> formats;             // of paging domains; the first is measured most closely

  // Sizes of working sets, `most` the largest: powers of 64 if it is to be quick, else of 16, and of 4 where it is to be `close`.
  [[nodiscard]] std::vector<std::uint64_t> working_sets(bool close, std::uint64_t most = usual_most_pages) const;
  [[nodiscard]] bool is_first(NamedFormat const& format) const { return format.name == formats.front().name; }
};

// The formats that are measured if nobody asks for others: one of each kind of table, or one in all.
std::vector<NamedFormat> usual_formats(bool quick);

std::vector<Measurement> translate_suite(Scope const& scope);
std::vector<Measurement> walk_suite(Scope const& scope);
std::vector<Measurement> nested_suite(Scope const& scope);
std::vector<Measurement> map_suite(Scope const& scope);
std::vector<Measurement> anchor_suite(Scope const& scope);
std::vector<Measurement> shadow_suite(Scope const& scope);
std::vector<Measurement> dirty_suite(Scope const& scope);
std::vector<Measurement> scale_suite(Scope const& scope);

struct Suite {
  std::string_view name;
  std::string_view what;  // one line
  std::vector<Measurement> (*measurements)(Scope const& scope);
};
std::span<Suite const> suites();

}  // namespace swiommu::bench
