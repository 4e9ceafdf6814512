#include "profile/format_names.h"

#include <fmt/format.h>

namespace swiommu {

namespace {

void add_arm(std::vector<NamedFormat>& all, FormatName format, unsigned stage) {
  for (unsigned const granule_lg2 : {12u, 14u, 16u}) {
    unsigned const kilobytes = 1u << (granule_lg2 - 10);
    // 48-bit inputs; stage 2 needs no more than 44 to cover what most systems have, and 4K tables have 4 levels for both.
    FormatConfiguration const c{
        .format = format, .granule_lg2 = granule_lg2, .input_bits = 48, .output_bits = granule_lg2 == 16 ? 52u : 48u};
    all.push_back({.name = fmt::format("arm-lpae-s{}-{}k", stage, kilobytes),
                   .also = granule_lg2 == 12 ? fmt::format("arm-lpae-s{}", stage) : "",
                   .description = fmt::format("Arm VMSAv8-64 stage {}, {} KiB granule (SMMUv3)", stage, kilobytes),
                   .configuration = c,
                   .levels = {},
                   .big_endian = false});
  }
}

void add_riscv(std::vector<NamedFormat>& all, FormatName format, char const* suffix, char const* what) {
  for (unsigned const levels : {3u, 4u, 5u})
    all.push_back({.name = fmt::format("riscv-sv{}{}", 12 + 9 * levels, suffix),
                   .also = "",
                   .description = fmt::format("RISC-V Sv{}{}, {}", 12 + 9 * levels, suffix, what),
                   .configuration = {.format = format, .levels = levels},
                   .levels = {},
                   .big_endian = false});
}

std::vector<NamedFormat> make() {
  std::vector<NamedFormat> all;
  all.push_back({"vtd-second-stage",
                 "vtd-ss",
                 "Intel VT-d second stage",
                 {.format = FormatName::vtd_second_stage, .levels = 4},
                 {3, 4, 5}});
  all.push_back({"x86-64",
                 "vtd-first-stage,vtd-fs,amd-v2",
                 "x86-64: Intel VT-d first stage, AMD v2 (GCR3)",
                 {.format = FormatName::x86_64, .levels = 4, .accessed_updates = true, .dirty_updates = true},
                 {4, 5}});
  all.push_back(
      {"amd-v1", "amd", "AMD I/O page table (host table)", {.format = FormatName::amd_v1, .levels = 4}, {1, 2, 3, 4, 5, 6}});
  add_arm(all, FormatName::arm_stage1, 1);
  add_arm(all, FormatName::arm_stage2, 2);
  add_riscv(all, FormatName::riscv, "", "first stage of the RISC-V IOMMU");
  add_riscv(all, FormatName::riscv_x4, "x4", "second stage of the RISC-V IOMMU");
  constexpr struct {
    char const* suffix;
    char const* root;
    unsigned levels;
  } zpci[] = {{"st", "segment", 2}, {"rt", "region-third", 3}, {"rs", "region-second", 4}, {"rf", "region-first", 5}};
  for (auto const& z : zpci)
    all.push_back({.name = fmt::format("s390-zpci-{}", z.suffix),
                   .also = z.levels == 3 ? "s390-zpci" : "",
                   .description = fmt::format("s390 zPCI, {} table at the root", z.root),
                   .configuration = {.format = FormatName::s390_zpci, .levels = z.levels},
                   .levels = {},
                   .big_endian = true});
  return all;
}

bool is_one_of(std::string_view name, std::string_view list) {
  while (!list.empty()) {
    auto const comma = list.find(',');
    if (list.substr(0, comma) == name) return true;
    list = comma == std::string_view::npos ? std::string_view{} : list.substr(comma + 1);
  }
  return false;
}

}  // namespace

std::vector<NamedFormat> const& named_formats() {
  static std::vector<NamedFormat> const all = make();
  return all;
}

Result<NamedFormat> find_format(std::string_view name) {
  std::string names;
  for (NamedFormat const& format : named_formats()) {
    if (format.name == name || is_one_of(name, format.also)) return format;
    names += (names.empty() ? "" : ", ") + format.name;
  }
  return fail(EINVAL, fmt::format("'{}' is no page-table format; there are {}", name, names));
}

NamedFormat const& named_format_of(FormatConfiguration const& configuration) {
  NamedFormat const* like = nullptr;
  for (NamedFormat const& named : named_formats()) {
    FormatConfiguration const& c = named.configuration;
    if (c.format != configuration.format) continue;
    bool const says_granule = c.granule_lg2 != 0, says_levels = named.levels.empty() && !says_granule;
    unsigned const granule = configuration.granule_lg2 == 0 ? 12 : configuration.granule_lg2;
    if ((!says_granule || c.granule_lg2 == granule) && (!says_levels || c.levels == configuration.levels)) return named;
    if (like == nullptr) like = &named;
  }
  return *like;  // each format has a name
}

}  // namespace swiommu
