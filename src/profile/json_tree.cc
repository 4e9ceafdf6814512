#include "profile/json_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

namespace swiommu {

namespace {

constexpr std::size_t deepest = 16;  // profiles have 4 levels

// The parser keeps no positions: this tells how far it has read.
class Reading {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = char const*;
  using reference = char const&;

  Reading(char const* at, char const** seen) : at_(at), seen_(seen) {}
  char const& operator*() const { return *at_; }
  Reading& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  bool operator==(Reading const& other) const { return at_ == other.at_; }
  bool operator!=(Reading const& other) const { return at_ != other.at_; }

 private:
  char const* at_;
  char const** seen_;
};

class TreeBuilder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, char const* const& seen) : text_(text), seen_(seen) {}

  bool null() override { return put({.kind = JsonNode::Kind::null, .offset = read() - 4}); }
  bool boolean(bool value) override {
    return put({.kind = JsonNode::Kind::boolean, .offset = read() - (value ? 4 : 5), .flag = value});
  }
  bool number_integer(number_integer_t) override { return put_number(std::nullopt); }  // negative
  bool number_unsigned(number_unsigned_t value) override { return put_number(value); }
  bool number_float(number_float_t, string_t const&) override { return put_number(std::nullopt); }
  bool string(string_t& value) override {
    return put({.kind = JsonNode::Kind::text, .offset = start_of_string(), .text = std::move(value)});
  }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(JsonNode::Kind::object); }
  bool start_array(std::size_t) override { return open(JsonNode::Kind::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    JsonNode const& object = open_.back();
    std::size_t const offset = start_of_string();
    if (std::ranges::find(object.members, value, &JsonMember::key) != object.members.end())
      return refuse(offset, fmt::format("{} is there twice", in_quotes(value)));
    open_.back().members.push_back({std::move(value), offset, {}});
    return true;
  }

  bool parse_error(std::size_t position, std::string const&, nlohmann::detail::exception const& why) override {
    return refuse(position == 0 ? 0 : position - 1, fmt::format("this is no JSON: {}", in_short(why.what())));
  }

  JsonNode root;
  std::optional<std::pair<std::size_t, std::string>> problem;

 private:
  [[nodiscard]] std::size_t read() const { return static_cast<std::size_t>(seen_ - text_.data()); }

  // The string that was just read, from its last character, a quote.
  [[nodiscard]] std::size_t start_of_string() const {
    for (std::size_t at = read() - 1; at-- > 0;) {
      if (text_[at] != '"') continue;
      std::size_t escapes = 0;
      while (escapes < at && text_[at - 1 - escapes] == '\\') escapes++;
      if (escapes % 2 == 0) return at;
    }
    return 0;
  }

  // The parser has seen one character more, if there was one.
  [[nodiscard]] std::size_t start_of_number() const {
    std::size_t at = read();
    auto const belongs = [](char c) {
      return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
    };
    if (at > 0 && !belongs(text_[at - 1])) at--;
    while (at > 0 && belongs(text_[at - 1])) at--;
    return at;
  }

  bool put_number(std::optional<std::uint64_t> value) {
    return put({.kind = JsonNode::Kind::number,
                .offset = start_of_number(),
                .is_whole = value.has_value(),
                .number = value.value_or(0)});
  }

  bool put(JsonNode node) {
    if (open_.empty())
      root = std::move(node);
    else if (open_.back().kind == JsonNode::Kind::array)
      open_.back().elements.push_back(std::move(node));
    else
      open_.back().members.back().value = std::move(node);
    return true;
  }

  bool open(JsonNode::Kind kind) {
    if (open_.size() == deepest) return refuse(read() - 1, "this is nested too deeply");
    open_.push_back({.kind = kind, .offset = read() - 1});
    return true;
  }

  bool close() {
    JsonNode node = std::move(open_.back());
    open_.pop_back();
    return put(std::move(node));
  }

  bool refuse(std::size_t offset, std::string about) {
    problem = {offset, std::move(about)};
    return false;
  }

  // "[json.exception.parse_error.101] parse error at line 1, column 2: WHAT; last read: '...'; expected ..."
  static std::string in_short(std::string text) {
    if (auto const colon = text.find(": "); text.starts_with("[") && colon != std::string::npos) text.erase(0, colon + 2);
    if (auto const quoted = text.find("; last read: '"); quoted != std::string::npos)
      text.erase(quoted, text.rfind('\'') + 1 - quoted);
    auto const read = text.find(" - ");
    if (read == std::string::npos) return text;
    return fmt::format("{}: {}", std::string_view(text).substr(0, read), std::string_view(text).substr(read + 3));
  }

  std::string_view const text_;
  char const* const& seen_;
  std::vector<JsonNode> open_;  // from the root down
};

}  // namespace

JsonNode const* JsonNode::find(std::string_view key) const {
  auto const member = std::ranges::find(members, key, &JsonMember::key);
  return member == members.end() ? nullptr : &member->value;
}

std::string_view kind_text(JsonNode::Kind kind) {
  switch (kind) {
    case JsonNode::Kind::null: return "null";
    case JsonNode::Kind::boolean: return "true or false";
    case JsonNode::Kind::number: return "a number";
    case JsonNode::Kind::text: return "a string";
    case JsonNode::Kind::array: return "an array";
    case JsonNode::Kind::object: return "an object";
  }
  return "";
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 40;
  std::string result = "\"";
  for (char const c : text.substr(0, most)) {
    auto const code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f)
      result += fmt::format("\\x{:02x}", code);
    else
      result += c;
  }
  return result + (text.size() > most ? "...\"" : "\"");
}

std::unexpected<Error> located(std::string_view text, std::string_view file, std::size_t offset, std::string_view about) {
  std::string_view const before = text.substr(0, std::min(offset, text.size()));
  auto const line_feed = before.rfind('\n');
  auto const line = 1 + std::ranges::count(before, '\n');
  auto const column = 1 + (line_feed == std::string_view::npos ? before.size() : before.size() - line_feed - 1);
  return fail(EINVAL, fmt::format("{}:{}:{}: {}", file, line, column, about));
}

Result<JsonNode> parse_json(std::string_view text, std::string_view file) {
  return guarded([&]() -> Result<JsonNode> {
    char const* seen = text.data();
    TreeBuilder builder(text, seen);
    constexpr bool whole = true, comments = true;
    if (nlohmann::json::sax_parse(Reading(seen, &seen), Reading(std::to_address(text.end()), &seen), &builder,
                                  nlohmann::json::input_format_t::json, whole, comments))
      return std::move(builder.root);
    auto const [offset, about] = builder.problem.value_or(std::pair{std::size_t{0}, std::string("this is no JSON")});
    return located(text, file, offset, about);
  });
}

}  // namespace swiommu
