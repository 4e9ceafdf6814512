// What a walk follows without looking closer: the short way must say what the long one says.
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

TEST_P(Conformance, PlainWordsAreWholeTablesOrPagesWithAllRightsAndNoFlagToSet) {
  SCOPED_TRACE(testing::Message() << "SWIOMMU_SEED=" << seed());
  Random random(seed());
  for (auto const& format : family().formats) {
    SCOPED_TRACE(format->name);
    for (unsigned level = 0; level < format->geometry.levels; level++) format->expect_plain_words_to_be_plain(random, level);
  }
}

TEST_P(Conformance, WordsWithoutTheBitOfAFlagAreNotFlagged) {
  SCOPED_TRACE(testing::Message() << "SWIOMMU_SEED=" << seed());
  Random random(seed());
  for (auto const& format : family().formats) {
    SCOPED_TRACE(format->name);
    format->expect_flags_to_have_their_bits(random);
  }
}

}  // namespace
}  // namespace swiommu::conformance
