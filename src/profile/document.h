// A profile that a user wrote, while it is read: values out of JSON nodes, and errors that say where and what would be right.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "profile/json_tree.h"
#include "profile/value_names.h"
#include "swiommu/base/range.h"

namespace swiommu {

class Document {
 public:
  Document(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  [[nodiscard]] std::unexpected<Error> error(std::size_t offset, std::string_view about) const {
    return located(text_, file_, offset, about);
  }

  // What each value may be: EINVAL otherwise. `what` names it in the error: "levels must be a number from 1 to 6, not a string".
  Result<bool> flag(JsonNode const& node, std::string_view what) const;
  Result<std::string> text(JsonNode const& node, std::string_view what) const;
  Result<std::uint64_t> number(JsonNode const& node, std::string_view what, std::uint64_t least, std::uint64_t most) const;
  // {"start": .., "last": ..}, and nothing else but the keys of `besides`.
  Result<Range> range(JsonNode const& node, std::string_view what, std::vector<std::string> besides = {}) const;
  // One of the names.
  Result<std::uint32_t> choice(JsonNode const& node, std::string_view what, std::span<ValueName const> names) const;
  // An array of them, in its order, each once.
  Result<std::vector<std::uint32_t>> choices(JsonNode const& node, std::string_view what, std::span<ValueName const> names) const;
  // Sizes of pages: an array of powers of two, a bit each. Empty: 0.
  Result<std::uint64_t> page_sizes(JsonNode const& node, std::string_view what) const;

  Result<void> require(JsonNode const& node, JsonNode::Kind kind, std::string_view what) const;
  // "there is no key \"x\"; did you mean \"y\"?"
  [[nodiscard]] std::unexpected<Error> unknown_key(JsonMember const& member, std::string_view where,
                                                   std::vector<std::string> const& known) const;

 private:
  std::string_view text_;
  std::string_view file_;
};

// The value, if there is one.
template <class T, class Target>
Result<void> assign(Result<T> value, Target& target) {
  if (!value) return std::unexpected(std::move(value).error());
  target = static_cast<Target>(*std::move(value));
  return {};
}

// One key of an object, and how it gets into the target.
template <class Target>
struct DocumentField {
  std::string_view key;
  Result<void> (*read)(Document const&, JsonNode const&, Target&);
};

// Reads the keys that the object has; `where` names it: "a profile". What one key overrides, a later row may refine: rows are
// worked off in their own order.
template <class Target>
Result<void> read_object(Document const& document, JsonNode const& object, std::string_view where,
                         std::span<DocumentField<Target> const> fields, Target& target) {
  SWIOMMU_TRY(document.require(object, JsonNode::Kind::object, where));
  std::vector<std::string> known;
  for (auto const& field : fields) known.emplace_back(field.key);
  for (JsonMember const& member : object.members)
    if (std::ranges::find(known, member.key) == known.end()) return document.unknown_key(member, where, known);
  for (auto const& field : fields)
    if (auto const* const node = object.find(field.key)) SWIOMMU_TRY(field.read(document, *node, target));
  return {};
}

}  // namespace swiommu
