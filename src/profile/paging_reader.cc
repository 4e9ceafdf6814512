#include "profile/paging_reader.h"

#include <fmt/format.h>

#include <bit>

#include "profile/format_names.h"

namespace swiommu {

namespace {

using Field = DocumentField<PagingKind>;

// All that belongs to the format starts anew.
Result<void> read_format(Document const& document, JsonNode const& node, PagingKind& kind) {
  std::vector<ValueName> names;
  for (NamedFormat const& format : named_formats()) names.push_back({format.name, static_cast<std::uint32_t>(names.size())});
  auto const chosen = document.choice(node, "format", names);
  if (!chosen) return std::unexpected(chosen.error());
  kind.format = named_formats()[*chosen].configuration;
  kind.format.accessed_updates = kind.format.dirty_updates = false;  // see Profile::choose_paging
  kind.aperture.reset();
  return {};
}

Result<void> read_granule(Document const& document, JsonNode const& node, PagingKind& kind) {
  auto const granule = document.number(node, "granule", 1 << 11, 1 << 16);
  if (!granule) return std::unexpected(granule.error());
  if (!std::has_single_bit(*granule)) return document.error(node.offset, "granule must be 2K, 4K, 16K or 64K");
  kind.format.granule_lg2 = log2_floor(*granule);
  return {};
}

Result<void> read_aperture(Document const& document, JsonNode const& node, PagingKind& kind) {
  if (node.kind == JsonNode::Kind::null) return kind.aperture.reset(), Result<void>();
  return assign(document.range(node, "aperture"), kind.aperture);
}

Result<void> read_with(Document const& document, JsonNode const& node, PagingKind& kind) {
  auto const flags = document.choices(node, "with", hwpt_flag_names());
  if (!flags) return std::unexpected(flags.error());
  kind.with = 0;
  for (std::uint32_t const flag : *flags) kind.with |= flag;
  return {};
}

constexpr Field fields[] = {
    {"format", read_format},
    {"levels", [](auto const& d, auto const& n, auto& k) { return assign(d.number(n, "levels", 1, 6), k.format.levels); }},
    {"granule", read_granule},
    {"input_bits",
     [](auto const& d, auto const& n, auto& k) { return assign(d.number(n, "input_bits", 16, 64), k.format.input_bits); }},
    {"output_bits",
     [](auto const& d, auto const& n, auto& k) { return assign(d.number(n, "output_bits", 32, 64), k.format.output_bits); }},
    {"page_sizes",
     [](auto const& d, auto const& n, auto& k) { return assign(d.page_sizes(n, "page_sizes"), k.format.page_sizes); }},
    {"zero_extended",
     [](auto const& d, auto const& n, auto& k) { return assign(d.flag(n, "zero_extended"), k.format.zero_extended); }},
    {"svnapot", [](auto const& d, auto const& n, auto& k) { return assign(d.flag(n, "svnapot"), k.format.svnapot); }},
    {"svpbmt", [](auto const& d, auto const& n, auto& k) { return assign(d.flag(n, "svpbmt"), k.format.svpbmt); }},
    {"aperture", read_aperture},
    {"with", read_with},
    {"enforces_coherency",
     [](auto const& d, auto const& n, auto& k) { return assign(d.flag(n, "enforces_coherency"), k.enforces_coherency); }},
    {"writable_only", [](auto const& d, auto const& n, auto& k) { return assign(d.flag(n, "writable_only"), k.writable_only); }},
};

}  // namespace

Result<void> read_paging(Document const& document, JsonNode const& node, Profile& profile) {
  SWIOMMU_TRY(document.require(node, JsonNode::Kind::object, "paging"));
  std::vector<std::string> known;
  known.reserve(paging_uses);
  for (std::size_t n = 0; n < paging_uses; n++) known.emplace_back(name(static_cast<PagingUse>(n)));
  for (JsonMember const& member : node.members) {
    auto const found = std::ranges::find(known, member.key);
    if (found == known.end()) return document.unknown_key(member, "paging", known);
    std::optional<PagingKind>& kind = profile.paging[static_cast<std::size_t>(found - known.begin())];
    if (member.value.kind == JsonNode::Kind::null) {
      kind.reset();
      continue;
    }
    SWIOMMU_TRY(document.require(member.value, JsonNode::Kind::object, member.key));
    if (!kind && member.value.find("format") == nullptr)
      return document.error(member.value.offset,
                            fmt::format("paging.{} is not in the base: it must say its \"format\"", member.key));
    if (!kind) kind.emplace();
    SWIOMMU_TRY(read_object<PagingKind>(document, member.value, "paging." + member.key, fields, *kind));
  }
  return {};
}

}  // namespace swiommu
