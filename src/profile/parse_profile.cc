#include <fmt/format.h>

#include <algorithm>

#include "profile/builtin_profiles.h"
#include "profile/document.h"
#include "profile/paging_reader.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu {

namespace {

using Field = DocumentField<Profile>;

Result<void> read_line(Document const& document, JsonNode const& node, std::string_view what, std::string& line) {
  auto text = document.text(node, what);
  if (!text) return std::unexpected(text.error());
  bool const is_line = std::ranges::none_of(*text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (text->empty() || !is_line) return document.error(node.offset, fmt::format("{} must be one line of text", what));
  line = std::move(*text);
  return {};
}

// The hardware is that of the base: saying so does no harm.
Result<void> check_hardware(Document const& document, JsonNode const& node, Profile& profile) {
  auto const text = document.text(node, "hardware");
  if (!text) return std::unexpected(text.error());
  if (*text == name(profile.hardware)) return {};
  return document.error(node.offset,
                        fmt::format("the hardware is that of the base, {}; choose another base", name(profile.hardware)));
}

Result<void> read_registers(Document const& document, JsonNode const& node, Profile& profile) {
  SWIOMMU_TRY(document.require(node, JsonNode::Kind::object, "registers"));
  auto const registers = register_names(profile.hardware);
  std::vector<std::string> known;
  for (RegisterName const& each : registers) known.emplace_back(each.name);
  for (JsonMember const& member : node.members) {
    auto const found = std::ranges::find(registers, member.key, &RegisterName::name);
    if (found == registers.end()) return document.unknown_key(member, "registers", known);
    auto const value = document.number(member.value, member.key, 0, low_bits(found->bits));
    if (!value) return std::unexpected(value.error());
    SWIOMMU_TRY(profile.set_register(member.key, *value));
  }
  return {};
}

// Registers first: the rest follows from them, before anything else is said.
Result<void> read_hardware(Document const& document, JsonNode const& root, Profile& profile) {
  auto const* const registers = root.find("registers");
  auto const* const width = root.find("host_address_width");
  if (width != nullptr) SWIOMMU_TRY(assign(document.number(*width, "host_address_width", 0, 64), profile.host_address_width));
  if (registers != nullptr) SWIOMMU_TRY(read_registers(document, *registers, profile));
  if (registers == nullptr && width == nullptr) return {};
  auto const derived = profile.derive();
  if (!derived && derived.error().code == EINVAL)
    return document.error((registers != nullptr ? registers : width)->offset, derived.error().about);
  return derived;
}

Result<void> read_reserved(Document const& document, JsonNode const& node, Profile& profile) {
  SWIOMMU_TRY(document.require(node, JsonNode::Kind::array, "reserved"));
  std::vector<ReservedIovas> all;
  for (JsonNode const& element : node.elements) {
    auto const iovas = document.range(element, "a reserved range", {"kind"});
    if (!iovas) return std::unexpected(iovas.error());
    ReservedIovas reserved{.iovas = *iovas};
    if (auto const* const kind = element.find("kind"))
      SWIOMMU_TRY(assign(document.choice(*kind, "kind", reserved_kind_names()), reserved.kind));
    all.push_back(reserved);
  }
  profile.reserved = std::move(all);
  return {};
}

#define SWIOMMU_FLAG(field) {#field, [](auto const& d, auto const& n, auto& p) { return assign(d.flag(n, #field), p.field); }}

Result<void> was_read(Document const&, JsonNode const&, Profile&) { return {}; }

constexpr Field fields[] = {
    {"base", was_read},
    {"registers", was_read},
    {"host_address_width", was_read},
    {"name", [](auto const& d, auto const& n, auto& p) { return read_line(d, n, "name", p.name); }},
    {"description", [](auto const& d, auto const& n, auto& p) { return read_line(d, n, "description", p.description); }},
    {"hardware", check_hardware},
    {"paging", read_paging},
    SWIOMMU_FLAG(leaves_span_pages),
    {"nested",
     [](auto const& d, auto const& n, auto& p) { return assign(d.choices(n, "nested", nested_type_names()), p.nested); }},
    {"viommus",
     [](auto const& d, auto const& n, auto& p) { return assign(d.choices(n, "viommus", viommu_type_names()), p.viommus); }},
    {"max_pasids",
     [](auto const& d, auto const& n, auto& p) { return assign(d.number(n, "max_pasids", 0, 1 << 20), p.max_pasids); }},
    SWIOMMU_FLAG(dirty_tracking),
    SWIOMMU_FLAG(ats),
    SWIOMMU_FLAG(page_requests),
    SWIOMMU_FLAG(pasid_exec),
    SWIOMMU_FLAG(pasid_privileged),
    {"reserved", read_reserved},
};
#undef SWIOMMU_FLAG

// The profile that the document starts from.
Result<Profile> read_base(Document const& document, JsonNode const& root) {
  SWIOMMU_TRY(document.require(root, JsonNode::Kind::object, "a profile"));
  std::vector<ValueName> names;
  for (BuiltinProfile const& row : builtin_rows()) names.push_back({row.name, static_cast<std::uint32_t>(names.size())});
  auto const* const base = root.find("base");
  if (base == nullptr) return document.error(root.offset, "a profile must say what it starts from, as \"base\": \"intel-vtd\"");
  auto const chosen = document.choice(*base, "base", names);
  if (!chosen) return std::unexpected(chosen.error());
  return make_builtin(builtin_rows()[*chosen]);
}

// Where the document has what the path "paging.usual.levels" names, or most of it; `found`: how many parts of the path.
std::size_t place_of(JsonNode const& root, std::string_view path, std::size_t& found) {
  JsonNode const* node = &root;
  found = 0;
  while (!path.empty()) {
    auto const dot = path.find('.');
    auto const* const next = node->find(path.substr(0, dot));
    if (next == nullptr) break;
    node = next;
    found++;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return node->offset;
}

std::size_t place_of(JsonNode const& root, std::vector<std::string> const& keys) {
  std::size_t best = root.offset, most = 0;
  for (std::string const& key : keys) {
    std::size_t found = 0;
    std::size_t const place = place_of(root, key, found);
    if (found > most) best = place, most = found;
  }
  return best;
}

std::string name_of_file(std::string_view file) {
  auto const slash = file.rfind('/');
  std::string_view name = slash == std::string_view::npos ? file : file.substr(slash + 1);
  if (name.ends_with(".json")) name.remove_suffix(5);
  return std::string(name);
}

}  // namespace

Result<Profile> parse_profile(std::string_view text, std::string_view file) {
  return guarded([&]() -> Result<Profile> {
    auto const root = parse_json(text, file);
    if (!root) return std::unexpected(root.error());
    Document const document(text, file);
    auto profile = read_base(document, *root);
    if (!profile) return profile;
    profile->name = name_of_file(file);
    SWIOMMU_TRY(read_hardware(document, *root, *profile));
    SWIOMMU_TRY(read_object<Profile>(document, *root, "a profile", fields, *profile));
    if (auto const contradiction = find_contradiction(*profile))
      return document.error(place_of(*root, contradiction->keys), contradiction->about);
    return profile;
  });
}

}  // namespace swiommu
