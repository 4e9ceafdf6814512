#include "profile/json_tree.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

std::string error_of(std::string_view text) {
  auto const tree = parse_json(text, "f");
  if (tree) return "no error";
  EXPECT_EQ(tree.error().code, EINVAL);
  return tree.error().about;
}

TEST(JsonTree, KnowsWhereEachPartStands) {
  std::string_view const text = R"({"a": 12, "b": [true, null, -3],
 // a comment
 "c\"d\\": {"e": "x\"\\", "f": 1.5, "g": false}})";
  auto const root = parse_json(text, "f");
  ASSERT_TRUE(root) << root.error().about;
  EXPECT_EQ(root->offset, 0u);
  auto const at = [&](std::string_view part) { return text.find(part); };
  EXPECT_EQ(root->find("a")->offset, at("12"));
  EXPECT_EQ(root->find("a")->number, 12u);
  JsonNode const& list = *root->find("b");
  EXPECT_EQ(list.offset, at("[true"));
  EXPECT_EQ(list.elements[0].offset, at("true"));
  EXPECT_EQ(list.elements[1].offset, at("null"));
  EXPECT_EQ(list.elements[2].offset, at("-3"));
  EXPECT_FALSE(list.elements[2].is_whole);
  EXPECT_EQ(root->members[2].key, "c\"d\\");
  EXPECT_EQ(root->members[2].offset, at("\"c\\\""));
  JsonNode const& inner = *root->find("c\"d\\");
  EXPECT_EQ(inner.offset, at("{\"e\""));
  EXPECT_EQ(inner.find("e")->offset, at("\"x"));
  EXPECT_EQ(inner.find("e")->text, "x\"\\");
  EXPECT_EQ(inner.find("f")->offset, at("1.5"));
  EXPECT_EQ(inner.find("g")->offset, at("false"));
  EXPECT_EQ(inner.find("h"), nullptr);
}

TEST(JsonTree, NumbersAtTheEndOfTheTextHaveAPlaceToo) {
  auto const root = parse_json("  47", "f");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->offset, 2u);
  EXPECT_EQ(root->number, 47u);
  EXPECT_EQ(parse_json("18446744073709551615", "f")->number, ~std::uint64_t{0});
  EXPECT_FALSE(parse_json("18446744073709551616", "f")->is_whole);
}

TEST(JsonTree, ErrorsNameLineAndColumn) {
  EXPECT_EQ(error_of("{\"a\": 1,\n  \"b\" 2}").substr(0, 32), "f:2:7: this is no JSON: syntax e");
  EXPECT_EQ(error_of("{\"a\": 1,\n \"a\": 2}"), "f:2:2: \"a\" is there twice");
  EXPECT_EQ(error_of("[1, 2").substr(0, 7), "f:1:6: ");
  EXPECT_EQ(error_of("").substr(0, 6), "f:1:1:");
  EXPECT_EQ(error_of("{} x").substr(0, 6), "f:1:4:");
  EXPECT_EQ(error_of(std::string(100000, '[')), "f:1:17: this is nested too deeply");
}

TEST(JsonTree, ErrorsAreOneLineWhateverIsInTheText) {
  for (std::string_view const text :
       {std::string_view("\"\x01\""), std::string_view("{\"a\nb\": 1}"), std::string_view("\xff\xfe"), std::string_view("\0", 1),
        std::string_view("{\"\\n\\n\": 1, \"\\n\\n\": 2}"), std::string_view("/* no end"), std::string_view("1e99999"),
        std::string_view("\"\\ud800\"")}) {
    std::string const error = error_of(text);
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_TRUE(error.starts_with("f:")) << error;
  }
}

TEST(JsonTree, QuotesAreShortAndOnOneLine) {
  EXPECT_EQ(in_quotes("a\nb\x7f"), "\"a\\x0ab\\x7f\"");
  EXPECT_EQ(in_quotes(std::string(100, 'x')), "\"" + std::string(40, 'x') + "...\"");
}

}  // namespace
}  // namespace swiommu
