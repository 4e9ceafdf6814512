// swiommu profiles: the emulated hardware that there is to choose from, and what a user-written profile comes to.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "profile/format_names.h"
#include "profile/value_names.h"
#include "swiommu/profile/load_profile.h"
#include "tools/numbers.h"
#include "tools/output.h"
#include "tools/subcommands/commands.h"

namespace swiommu::tools {

namespace {

std::string names_of(std::vector<std::uint32_t> const& values, std::span<ValueName const> names) {
  std::string text;
  for (std::uint32_t const value : values)
    for (auto const& [name, named] : names)
      if (named == value) text += fmt::format("{}{}", text.empty() ? "" : ", ", name);
  return text.empty() ? "none" : text;
}

std::string range_text(Range range) { return fmt::format("[{:#x}, {:#x}]", range.start, range.last); }

void show_kind(PagingUse use, PagingKind const& kind) {
  auto const shape = kind.shape();
  if (!shape) return;  // a profile that was loaded is sound
  put("  {:<15} {}, {} levels, pages of {}, iovas {}\n", name(use), named_format_of(kind.format).name, shape->levels,
      size_list(shape->page_sizes), range_text(kind.inputs()));
  std::string besides;
  for (auto const& [flag_name, flag] : hwpt_flag_names())
    if ((kind.with & flag) != 0) besides += fmt::format("{}{}", besides.empty() ? "also with " : ", ", flag_name);
  if (kind.enforces_coherency) besides += fmt::format("{}coherent", besides.empty() ? "" : "; ");
  if (kind.writable_only) besides += fmt::format("{}writable mappings only", besides.empty() ? "" : "; ");
  if (!besides.empty()) put("  {:<15} {}\n", "", besides);
}

void show(Profile const& p) {
  put("{}: {}\n\n", p.name, p.description);
  put("hardware          {}\n", name(p.hardware));
  for (RegisterName const& each : register_names(p.hardware))
    put("  {:<15} {:#0{}x}\n", each.name, p.register_value(each.name), 2 + each.bits / 4);
  put("paging domains\n");
  for (std::size_t n = 0; n < paging_uses; n++)
    if (auto const& kind = p.paging[n]) show_kind(static_cast<PagingUse>(n), *kind);
  put("nested domains    {}\n", names_of(p.nested, nested_type_names()));
  put("virtual IOMMUs    {}\n", names_of(p.viommus, viommu_type_names()));
  put("PASIDs            {}{}{}\n", p.max_pasids == 0 ? "none" : std::to_string(p.max_pasids),
      p.pasid_exec ? ", requests to execute" : "", p.pasid_privileged ? ", privileged requests" : "");
  put("dirty tracking    {}\n", p.dirty_tracking ? "yes" : "no");
  put("ATS               {}\n", p.ats ? "yes" : "no");
  put("page requests     {}\n", p.page_requests ? "yes" : "no");
  for (ReservedIovas const& reserved : p.reserved)
    for (auto const& [kind_name, kind] : reserved_kind_names())
      if (kind == static_cast<std::uint32_t>(reserved.kind))
        put("reserved          {} {}\n", range_text(reserved.iovas), kind_name);
}

Result<void> show(std::string const& name_or_path, bool json) {
  auto const profile = load_profile(name_or_path);
  if (!profile) return std::unexpected(profile.error());
  if (!json) return show(*profile), Result<void>();
  auto const text = profile_text(*profile);
  if (!text) return std::unexpected(text.error());
  put_text(*text);
  return {};
}

Result<void> list(bool json) {
  auto const all = builtin_profiles();
  if (!all) return std::unexpected(all.error());
  if (!json) put("{:<20} {:<16} {:<16} {:<12} {}\n", "PROFILE", "HARDWARE", "PAGE TABLE", "NESTED", "WHAT");
  for (Profile const& p : *all) {
    std::string const format = named_format_of(p.of(PagingUse::usual)->format).name;
    if (!json) {
      put("{:<20} {:<16} {:<16} {:<12} {}\n", p.name, name(p.hardware), format, names_of(p.nested, nested_type_names()),
          p.description);
      continue;
    }
    nlohmann::ordered_json line;
    line["profile"] = p.name;
    line["hardware"] = name(p.hardware);
    line["format"] = format;
    line["description"] = p.description;
    put("{}\n", line.dump());
  }
  if (!json)
    put("\n`swiommu profiles NAME` shows one; with --json as a file to change and to pass to `swiommu run --profile`.\n");
  return {};
}

}  // namespace

void add_profiles(CLI::App& program, int& status) {
  auto* const command = program.add_subcommand("profiles", "List the hardware that can be emulated, or show one profile");
  command->footer(
      "A profile of your own is a JSON file (comments allowed) that starts from one of these:\n"
      "  {\"base\": \"intel-vtd\", \"paging\": {\"usual\": {\"page_sizes\": [\"4K\"]}}}\n"
      "Examples:\n"
      "  swiommu profiles\n"
      "  swiommu profiles intel-vtd --json > mine.json\n"
      "  swiommu profiles ./mine.json\n"
      "Exit status: 0; 2 if there is no such profile, or it is wrong.");
  auto const name = std::make_shared<std::string>();
  auto const json = std::make_shared<bool>(false);
  command->add_option("NAME", *name, "A profile, or the path of a file");
  command->add_flag("--json", *json, "JSON; of one profile a file that can be loaded");
  command->callback([name, json, &status] {
    auto const done = name->empty() ? list(*json) : show(*name, *json);
    if (!done) status = report_bad_input(done.error());
  });
}

}  // namespace swiommu::tools
