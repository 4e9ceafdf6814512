// Page tables of real Linux guests, whole and corrupted, read from their memory images.
#include "corpus_case.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/memory/memory_image.h"

namespace swiommu {
namespace {

class Corpus : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto read = tools::read_case(GetParam());
    ASSERT_TRUE(read) << read.error().message();
    description = *std::move(read);
    auto loaded = MemoryImage::load(description.memory);
    ASSERT_TRUE(loaded) << loaded.error().message();
    image = *std::move(loaded);
    auto const host = Host::create(image);
    ASSERT_TRUE(host) << host.error().message();
    guest_memory = *IdentityDomain::create(*host);
    recorded = read_json(std::filesystem::path(GetParam()) / "case.json");
  }

  // The domain that the device's structures describe; nothing if they describe none.
  std::shared_ptr<Domain> open() {
    auto const found = find_device(description, *guest_memory);
    if (!found) return nullptr;
    auto domain = open_configuration(guest_memory, *found);
    EXPECT_TRUE(domain) << domain.error().message();
    return domain ? *domain : nullptr;
  }

  void expect_sample(Domain const* domain, RecordedSample const& sample) {
    SCOPED_TRACE(testing::Message() << std::hex << "iova 0x" << sample.iova << (sample.access.write ? " write" : " read"));
    if (domain == nullptr) {
      EXPECT_FALSE(sample.output);
      return;
    }
    Translation const t = domain->translate(sample.iova, sample.access, Update::no);
    ASSERT_EQ(t.ok(), sample.output.has_value()) << name(t.reason) << std::hex << " 0x" << t.output;
    if (!t.ok()) return;
    EXPECT_EQ(t.output, *sample.output);
    if (sample.content.empty()) return;
    std::vector<std::byte> bytes(sample.content.size());
    ASSERT_EQ(image->read(t.output, bytes.data(), bytes.size()), bytes.size());
    EXPECT_EQ(bytes, sample.content);
  }

  tools::Case description;
  std::shared_ptr<MemoryImage> image;
  std::shared_ptr<Domain> guest_memory;
  Json recorded;
};

TEST_P(Corpus, MapsExactlyWhatWasRecorded) {
  auto const domain = open();
  ASSERT_TRUE(domain);
  auto const expected = read_mappings(recorded["mappings"]);
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(mappings_of(*domain), expected);
}

TEST_P(Corpus, WalksToTheEndsOfEachMappingAndNoFurther) {
  auto const domain = open();
  ASSERT_TRUE(domain);
  auto const mappings = read_mappings(recorded["mappings"]);
  auto const expect = [&](std::uint64_t iova) {
    auto const above = std::ranges::upper_bound(mappings, iova, {}, [](RecordedMapping const& m) { return m.range.start; });
    RecordedMapping const* const mapping =
        above != mappings.begin() && std::prev(above)->range.contains(iova) ? &*std::prev(above) : nullptr;
    for (Access const access : {Access::reading(), Access::writing()}) {
      RecordedSample sample{.iova = iova, .access = access, .output = {}, .content = {}};
      if (mapping != nullptr && mapping->access.covers(access)) sample.output = mapping->output + (iova - mapping->range.start);
      expect_sample(domain.get(), sample);
    }
    Translation const t = domain->translate(iova, {}, Update::no);
    if (mapping != nullptr) {
      EXPECT_EQ(t.size_lg2, mapping->size_lg2);
      EXPECT_EQ(t.attributes.access, mapping->access);
    }
  };
  for (RecordedMapping const& mapping : mappings)
    for (std::uint64_t const iova : {mapping.range.start - 1, mapping.range.start, mapping.range.last, mapping.range.last + 1})
      expect(iova);
}

TEST_P(Corpus, TranslatesEachSampleToTheRecordedBytes) {
  auto const domain = open();
  ASSERT_TRUE(domain);
  auto const samples = read_samples(recorded["samples"]);
  EXPECT_FALSE(samples.empty());
  for (RecordedSample const& sample : samples) expect_sample(domain.get(), sample);
}

TEST_P(Corpus, ReadsTheBytesOfEachSampleThroughTheDomain) {
  auto const domain = open();
  ASSERT_TRUE(domain);
  std::size_t compared = 0;
  for (RecordedSample const& sample : read_samples(recorded["samples"])) {
    if (!sample.access.read || sample.content.empty()) continue;
    std::vector<std::byte> bytes(sample.content.size());
    EXPECT_EQ(domain->read(sample.iova, bytes.data(), bytes.size()), bytes.size());
    EXPECT_EQ(bytes, sample.content);
    compared++;
  }
  EXPECT_GT(compared, 0u);
}

INSTANTIATE_TEST_SUITE_P(Guests, Corpus, testing::ValuesIn(corpus_folders(false)), corpus_test_name);

class HostileCorpus : public Corpus {};

TEST_P(HostileCorpus, AnswersAsTheManualsSayWhateverIsBroken) {
  auto const mutations = read_mutations(GetParam());
  EXPECT_FALSE(mutations.empty());
  for (Mutation const& mutation : mutations) {
    SCOPED_TRACE(mutation.name);
    ASSERT_NO_FATAL_FAILURE(change_words(*image, mutation.writes, true, description.big_endian));
    auto const domain = open();
    for (RecordedSample const& sample : mutation.samples) expect_sample(domain.get(), sample);
    ASSERT_NO_FATAL_FAILURE(change_words(*image, mutation.writes, false, description.big_endian));
  }
}

// What is broken may make tables point at each other: the list ends anyway, and the walk agrees with it.
TEST_P(HostileCorpus, ListsWhatItTranslatesWhateverIsBroken) {
  constexpr std::uint64_t budget = 1 << 20;
  constexpr unsigned compared_at_most = 2000;
  for (Mutation const& mutation : read_mutations(GetParam())) {
    SCOPED_TRACE(mutation.name);
    ASSERT_NO_FATAL_FAILURE(change_words(*image, mutation.writes, true, description.big_endian));
    if (auto const domain = open()) {
      unsigned compared = 0;
      visit_mappings(
          *domain, Range::all(),
          [&](MappedRange const& m) {
            Translation const t = domain->translate(m.range.start, m.attributes.access, Update::no);
            EXPECT_TRUE(t.ok() && t.output == m.output && t.attributes.access == m.attributes.access)
                << std::hex << m.range.start;
            return ++compared < compared_at_most;
          },
          budget);
    }
    ASSERT_NO_FATAL_FAILURE(change_words(*image, mutation.writes, false, description.big_endian));
  }
}

INSTANTIATE_TEST_SUITE_P(Guests, HostileCorpus, testing::ValuesIn(corpus_folders(true)), corpus_test_name);

TEST(CorpusFolder, HoldsGuestsWholeAndHostile) {
  EXPECT_GE(corpus_folders(false).size(), 15u);
  EXPECT_GE(corpus_folders(true).size(), 3u);
}

}  // namespace
}  // namespace swiommu
