#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "profile/format_names.h"
#include "profile/value_names.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu {

namespace {

using Json = nlohmann::ordered_json;

std::string hex(std::uint64_t value) { return fmt::format("{:#x}", value); }

Json range_json(Range range) { return {{"start", hex(range.start)}, {"last", hex(range.last)}}; }

Json names_json(std::vector<std::uint32_t> const& values, std::span<ValueName const> names) {
  Json list = Json::array();
  for (std::uint32_t const value : values)
    for (auto const& [name, named] : names)
      if (named == value) list.push_back(name);
  return list;
}

Json kind_json(PagingKind const& kind) {
  FormatConfiguration const& c = kind.format;
  Json json;
  json["format"] = named_format_of(c).name;
  if (c.levels != 0) json["levels"] = c.levels;
  if (c.granule_lg2 != 0) json["granule"] = size_text(c.granule_lg2);
  if (c.input_bits != 0) json["input_bits"] = c.input_bits;
  if (c.output_bits != 0) json["output_bits"] = c.output_bits;
  Json sizes = Json::array();
  for (unsigned lg2 = 0; lg2 < 64; lg2++)
    if ((c.page_sizes >> lg2 & 1) != 0) sizes.push_back(size_text(lg2));
  if (!sizes.empty()) json["page_sizes"] = sizes;
  if (c.zero_extended) json["zero_extended"] = true;
  if (c.format == FormatName::riscv || c.format == FormatName::riscv_x4) {
    json["svnapot"] = c.svnapot;
    json["svpbmt"] = c.svpbmt;
  }
  if (kind.aperture) json["aperture"] = range_json(*kind.aperture);
  Json with = Json::array();
  for (auto const& [name, flag] : hwpt_flag_names())
    if ((kind.with & flag) != 0) with.push_back(name);
  json["with"] = with;
  json["enforces_coherency"] = kind.enforces_coherency;
  json["writable_only"] = kind.writable_only;
  return json;
}

Json reserved_json(std::vector<ReservedIovas> const& reserved) {
  Json list = Json::array();
  for (ReservedIovas const& each : reserved) {
    Json json = range_json(each.iovas);
    for (auto const& [name, kind] : reserved_kind_names())
      if (kind == static_cast<std::uint32_t>(each.kind)) json["kind"] = name;
    list.push_back(json);
  }
  return list;
}

}  // namespace

Result<std::string> profile_text(Profile const& p) {
  return guarded([&]() -> Result<std::string> {
    Json json;
    json["base"] = name(p.hardware);  // builtin profiles are called like their hardware
    json["name"] = p.name;
    json["description"] = p.description;
    json["hardware"] = name(p.hardware);
    for (std::size_t n = 0; n < paging_uses; n++) {
      auto const use = static_cast<PagingUse>(n);
      json["paging"][std::string(name(use))] = p.of(use) ? kind_json(*p.of(use)) : Json();
    }
    json["leaves_span_pages"] = p.leaves_span_pages;
    json["nested"] = names_json(p.nested, nested_type_names());
    json["viommus"] = names_json(p.viommus, viommu_type_names());
    json["registers"] = Json::object();
    for (RegisterName const& each : register_names(p.hardware))
      json["registers"][std::string(each.name)] = hex(p.register_value(each.name));
    json["host_address_width"] = p.host_address_width;
    json["max_pasids"] = p.max_pasids;
    json["dirty_tracking"] = p.dirty_tracking;
    json["ats"] = p.ats;
    json["page_requests"] = p.page_requests;
    json["pasid_exec"] = p.pasid_exec;
    json["pasid_privileged"] = p.pasid_privileged;
    json["reserved"] = reserved_json(p.reserved);
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  });
}

}  // namespace swiommu
