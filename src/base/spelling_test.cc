#include "base/spelling.h"

#include <gtest/gtest.h>

namespace swiommu {
namespace {

std::vector<std::string> const words{"translate", "dump", "demo", "formats"};

TEST(LikelyWord, ForgivesSwappedMissingAndWrongLetters) {
  for (char const* const word : {"translate", "trnaslate", "tanslate", "transllate", "trenslete", "trans", "t"})
    EXPECT_EQ(likely_word(word, words), "translate") << word;
  EXPECT_EQ(likely_word("dupm", words), "dump");
  EXPECT_EQ(likely_word("fromats", words), "formats");
}

TEST(LikelyWord, FindsNothingInWordsThatAreQuiteDifferent) {
  for (char const* const word : {"", "d", "frobnicate", "xx", "walk", "--"}) EXPECT_EQ(likely_word(word, words), "") << word;
  EXPECT_EQ(likely_word(std::string(1 << 20, 'x'), words), "");
  EXPECT_EQ(likely_word("dump", {}), "");
}

}  // namespace
}  // namespace swiommu
