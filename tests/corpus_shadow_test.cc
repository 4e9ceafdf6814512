// The corpus with its memory mapped into a paging domain: the two-dimensional walk and the shadow give what was recorded.
#include "corpus_case.h"
#include "swiommu/domain/shadow_domain.h"
#include "tools/demo_guest.h"

namespace swiommu {
namespace {

class CorpusTree : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto read = tools::read_case(GetParam());
    ASSERT_TRUE(read) << read.error().message();
    description = *std::move(read);
    auto const image = MemoryImage::load(description.memory);
    ASSERT_TRUE(image) << image.error().message();
    auto made = tools::DemoGuest::create(**image);
    ASSERT_TRUE(made) << made.error().message();
    guest = *std::move(made);
    recorded = read_json(std::filesystem::path(GetParam()) / "case.json");
  }

  // Both mechanisms over the table that the device's structures name; nothing if they name none.
  struct Mechanisms {
    std::shared_ptr<Domain> walked;
    std::shared_ptr<ShadowDomain> composed;
  };
  std::optional<Mechanisms> open() {
    auto const found = find_device(description, *guest->domain());
    if (!found || !found->user || found->user_upper || found->parent) return std::nullopt;
    auto walked = open_configuration(guest->domain(), *found);
    auto composed = ShadowDomain::create(guest->domain(), *found->user, {found->aperture, found->rights});
    EXPECT_TRUE(walked && composed);
    if (!walked || !composed) return std::nullopt;
    EXPECT_TRUE((*composed)->refresh(Range::all()));
    return Mechanisms{*walked, *composed};
  }

  void expect_sample(Domain const& domain, RecordedSample const& sample) {
    SCOPED_TRACE(testing::Message() << std::hex << "iova 0x" << sample.iova << (sample.access.write ? " write, " : " read, ")
                                    << name(domain.kind()));
    Translation const t = domain.translate(sample.iova, sample.access, Update::no);
    // Memory that was not recorded is not mapped in the paging domain.
    std::byte const* const there = sample.output ? guest->at(*sample.output) : nullptr;
    ASSERT_EQ(t.ok(), there != nullptr) << name(t.reason);
    if (sample.output && there == nullptr) {
      EXPECT_EQ(t.reason, Reason::output_unreachable);
    }
    if (!t.ok()) return;
    Chunk const chunk = domain.host().memory->locate(t.output, sample.access);
    EXPECT_EQ(chunk.data, there);
    ASSERT_GE(chunk.length, sample.content.size());
    EXPECT_TRUE(std::equal(sample.content.begin(), sample.content.end(), chunk.data));
  }

  static void expect_alike(Mechanisms const& both, std::uint64_t iova) {
    for (Access const access : {Access::reading(), Access::writing()}) {
      Translation const walked = both.walked->translate(iova, access, Update::no);
      Translation const composed = both.composed->translate(iova, access, Update::no);
      EXPECT_EQ(walked.reason, composed.reason) << std::hex << iova;
      if (walked.ok() && composed.ok()) {
        EXPECT_EQ(walked.output, composed.output) << std::hex << iova;
        EXPECT_EQ(walked.attributes.access, composed.attributes.access) << std::hex << iova;
      }
    }
  }

  tools::Case description;
  std::unique_ptr<tools::DemoGuest> guest;
  Json recorded;
};

TEST_P(CorpusTree, TranslatesEachSampleByWalkAndByShadow) {
  auto const both = open();
  if (!both) GTEST_SKIP() << "the device has two tables, or none";
  for (RecordedSample const& sample : read_samples(recorded["samples"])) {
    expect_sample(*both->walked, sample);
    expect_sample(*both->composed, sample);
  }
}

TEST_P(CorpusTree, ShadowsTheEndsOfEachMapping) {
  auto const both = open();
  if (!both) GTEST_SKIP() << "the device has two tables, or none";
  for (RecordedMapping const& m : read_mappings(recorded["mappings"]))
    for (std::uint64_t const iova : {m.range.start - 1, m.range.start, m.range.last, m.range.last + 1}) expect_alike(*both, iova);
}

// Both ways: whatever one of the mechanisms maps, the other maps as well, to the same bytes.
TEST_P(CorpusTree, MapsTheSameByWalkAndByShadow) {
  auto const both = open();
  if (!both) GTEST_SKIP() << "the device has two tables, or none";
  auto const pieces = [](Domain const& domain) {
    std::vector<RecordedMapping> all;
    visit_coalesced(domain, Range::all(), [&](MappedRange const& m) {
      append_mapping(all, {m.range, m.output, m.attributes.access, 0});  // each table has page sizes of its own
      return true;
    });
    return all;
  };
  auto const walked = pieces(*both->walked);
  EXPECT_FALSE(walked.empty());
  EXPECT_EQ(walked, pieces(*both->composed));
}

INSTANTIATE_TEST_SUITE_P(Guests, CorpusTree, testing::ValuesIn(corpus_folders(false)), corpus_test_name);

class HostileCorpusTree : public CorpusTree {};

TEST_P(HostileCorpusTree, AnswersAsTheManualsSayByWalkAndByShadow) {
  unsigned compared = 0;
  for (Mutation const& mutation : read_mutations(GetParam())) {
    SCOPED_TRACE(mutation.name);
    ASSERT_NO_FATAL_FAILURE(change_words(*guest->domain(), mutation.writes, true, description.big_endian));
    if (auto const both = open()) {
      compared++;
      for (RecordedSample const& sample : mutation.samples) {
        expect_sample(*both->walked, sample);
        expect_sample(*both->composed, sample);
        expect_alike(*both, sample.iova);
      }
    }
    ASSERT_NO_FATAL_FAILURE(change_words(*guest->domain(), mutation.writes, false, description.big_endian));
  }
  EXPECT_GT(compared, 0u);
}

INSTANTIATE_TEST_SUITE_P(Guests, HostileCorpusTree, testing::ValuesIn(corpus_folders(true)), corpus_test_name);

}  // namespace
}  // namespace swiommu
