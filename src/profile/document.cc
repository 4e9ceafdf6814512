#include "profile/document.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/spelling.h"

namespace swiommu {

namespace {

std::string list(std::vector<std::string> const& words) {
  std::string text;
  for (std::string const& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string hint(std::string_view word, std::vector<std::string> const& known) {
  std::string const likely = likely_word(word, known);
  return likely.empty() ? fmt::format("there are {}", list(known)) : fmt::format("did you mean \"{}\"?", likely);
}

std::string bounds_text(std::uint64_t least, std::uint64_t most) {
  return most > 0xffff ? fmt::format("{:#x} to {:#x}", least, most) : fmt::format("{} to {}", least, most);
}

}  // namespace

Result<void> Document::require(JsonNode const& node, JsonNode::Kind kind, std::string_view what) const {
  if (node.kind == kind) return {};
  return error(node.offset, fmt::format("{} must be {}, not {}", what, kind_text(kind), kind_text(node.kind)));
}

std::unexpected<Error> Document::unknown_key(JsonMember const& member, std::string_view where,
                                             std::vector<std::string> const& known) const {
  return error(member.offset, fmt::format("{} has no key {}; {}", where, in_quotes(member.key), hint(member.key, known)));
}

Result<bool> Document::flag(JsonNode const& node, std::string_view what) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::boolean, what));
  return node.flag;
}

Result<std::string> Document::text(JsonNode const& node, std::string_view what) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::text, what));
  return node.text;
}

Result<std::uint64_t> Document::number(JsonNode const& node, std::string_view what, std::uint64_t least,
                                       std::uint64_t most) const {
  std::string const wanted = fmt::format("{} must be a number from {}", what, bounds_text(least, most));
  std::optional<std::uint64_t> value;
  if (node.kind == JsonNode::Kind::text) {
    value = number_of(node.text);
    if (!value) return error(node.offset, fmt::format("{}, as 4096, \"0x1000\" or \"4K\", not {}", wanted, in_quotes(node.text)));
  } else if (node.kind == JsonNode::Kind::number) {
    if (node.is_whole) value = node.number;
    if (!value) return error(node.offset, fmt::format("{}, without sign and fraction", wanted));
  } else {
    return error(node.offset, fmt::format("{}, not {}", wanted, kind_text(node.kind)));
  }
  if (*value < least || *value > most) return error(node.offset, fmt::format("{}, not {}", wanted, *value));
  return *value;
}

Result<Range> Document::range(JsonNode const& node, std::string_view what, std::vector<std::string> besides) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::object, what));
  besides.insert(besides.begin(), {"start", "last"});
  for (JsonMember const& member : node.members)
    if (std::ranges::find(besides, member.key) == besides.end()) return unknown_key(member, what, besides);
  Range range;
  for (auto const& [key, end] : {std::pair{"start", &range.start}, {"last", &range.last}}) {
    auto const* const bound = node.find(key);
    if (bound == nullptr)
      return error(node.offset, fmt::format("{} lacks \"{}\": it is {{\"start\": .., \"last\": ..}}", what, key));
    auto const value = number(*bound, key, 0, ~std::uint64_t{0});
    if (!value) return std::unexpected(value.error());
    *end = *value;
  }
  if (range.start > range.last)
    return error(node.offset, fmt::format("{} ends ({:#x}) before it starts ({:#x})", what, range.last, range.start));
  return range;
}

Result<std::uint32_t> Document::choice(JsonNode const& node, std::string_view what, std::span<ValueName const> names) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::text, what));
  std::vector<std::string> known;
  for (auto const& [name, value] : names) {
    if (name == node.text) return value;
    known.emplace_back(name);
  }
  return error(node.offset, fmt::format("{} cannot be {}; {}", what, in_quotes(node.text), hint(node.text, known)));
}

Result<std::vector<std::uint32_t>> Document::choices(JsonNode const& node, std::string_view what,
                                                     std::span<ValueName const> names) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::array, what));
  std::vector<std::uint32_t> values;
  for (JsonNode const& element : node.elements) {
    auto const value = choice(element, what, names);
    if (!value) return std::unexpected(value.error());
    if (std::ranges::find(values, *value) != values.end())
      return error(element.offset, fmt::format("{} has {} twice", what, in_quotes(element.text)));
    values.push_back(*value);
  }
  return values;
}

Result<std::uint64_t> Document::page_sizes(JsonNode const& node, std::string_view what) const {
  SWIOMMU_TRY(require(node, JsonNode::Kind::array, what));
  std::uint64_t sizes = 0;
  for (JsonNode const& element : node.elements) {
    auto const size = number(element, "a page size", 1, ~std::uint64_t{0});
    if (!size) return std::unexpected(size.error());
    if (!std::has_single_bit(*size))
      return error(element.offset, fmt::format("a page size is a power of two, and {} is none", *size));
    sizes |= *size;
  }
  return sizes;
}

}  // namespace swiommu
