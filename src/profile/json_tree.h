// JSON with comments, as a tree that knows where in the text each part stands, so that errors can be located.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "swiommu/base/result.h"

namespace swiommu {

struct JsonMember;

struct JsonNode {
  enum class Kind : std::uint8_t { null, boolean, number, text, array, object };

  Kind kind = Kind::null;
  std::size_t offset = 0;           // of its first character
  bool flag = false;                // boolean
  bool is_whole = false;            // number: from 0 to 2^64 - 1, without a fraction
  std::uint64_t number = 0;         // if so
  std::string text;                 // text
  std::vector<JsonNode> elements;   // array
  std::vector<JsonMember> members;  // object, in their order

  // Nothing if there is no such member, or this is no object.
  [[nodiscard]] JsonNode const* find(std::string_view key) const;
};

struct JsonMember {
  std::string key;
  std::size_t offset = 0;  // of the key
  JsonNode value;
};

// "a string", "an object"
std::string_view kind_text(JsonNode::Kind kind);

// The text in quotes, on one line whatever is in it, and not too long.
std::string in_quotes(std::string_view text);

// Errors are located: "file:line:column: what is wrong". EINVAL: no JSON, or a key twice, or nested too deeply. ENOMEM.
Result<JsonNode> parse_json(std::string_view text, std::string_view file);

// "file:line:column: about", EINVAL.
std::unexpected<Error> located(std::string_view text, std::string_view file, std::size_t offset, std::string_view about);

}  // namespace swiommu
