// What a walk follows without looking closer: the short way must say what the long one says.
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

TEST_P(Conformance, PlainWordsAreWholeTablesWithAllRightsAndNoFlagToSet) {
  SCOPED_TRACE(testing::Message() << "SWIOMMU_SEED=" << seed());
  Random random(seed());
  for (auto const& format : family().formats) {
    SCOPED_TRACE(format->name);
    for (unsigned level = 1; level < format->geometry.levels; level++) format->expect_plain_words_to_be_plain(random, level);
  }
}

}  // namespace
}  // namespace swiommu::conformance
