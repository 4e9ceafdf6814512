// Long random histories of changes and walks, compared with the model.
#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

class RandomChanges {
 public:
  RandomChanges(CheckedTable& table, Random& random) : t_(table), random_(random) {
    for (auto const& pair : size_pairs(format()))
      if (pair.large_lg2 - pair.small_lg2 <= 9) pairs_.push_back(pair);
    if (pairs_.empty()) pairs_.push_back({format().smallest(), format().smallest()});
    // A few neighbourhoods, so that changes meet.
    unsigned const largest = pairs_.back().large_lg2;
    for (Range const& place : places(format(), largest)) sites_.push_back(place.start);
    std::shuffle(sites_.begin(), sites_.end(), random_);
    if (sites_.size() > 3) sites_.resize(3);
  }

  void step() {
    Range const range = some_range();
    Attributes const attributes{.access = {!one_in(random_, 4), !one_in(random_, 3)},
                                .memory = static_cast<MemoryType>(below(random_, 3)),
                                .coherent = one_in(random_, 2)};
    Cut const cut = one_in(random_, 2) ? Cut::split : Cut::refuse;
    switch (below(random_, 8)) {
      case 0:
      case 1: map(range, attributes, Existing::refuse, cut); break;
      case 2:
      case 3: map(range, attributes, Existing::replace, cut); break;
      case 4: t_.unmap(range, cut); break;
      case 5: walk(range); break;
      case 6: flags(range); break;
      default: t_.unmap(one_in(random_, 40) ? half_of(range) : unaligned(range), cut); break;
    }
    for (std::uint64_t const input : {range.start, range.last, range.start + below(random_, range.last - range.start) / 2})
      t_.check_walk(input);
    // Far more entries than this would only cost time.
    if (t_.model().entries().size() > 8192) t_.unmap(half_of(range));
  }

 private:
  FormatUnderTest const& format() const { return t_.format(); }

  Range half_of(Range range) const {
    for (Range const half : format().inputs())
      if (half.contains(range)) return half;
    return range;
  }

  Range some_range() {
    auto const [small, large] = pairs_[below(random_, pairs_.size())];
    small_ = small;
    large_ = large;
    std::uint64_t const site = align_down(sites_[below(random_, sites_.size())], large);
    Range const half = half_of({site, site});
    std::uint64_t const units = bit(large - small + 1) + 2;
    std::uint64_t offset = below(random_, units), count = 1 + below(random_, one_in(random_, 2) ? 8 : units);
    if (one_in(random_, 4)) offset &= ~low_bits(large - small), count = bit(large - small);  // a large page by itself
    std::uint64_t const start = half.last - site < (offset << small) ? site : site + (offset << small);
    std::uint64_t const room = (half.last - start) >> small;  // in pages, less one
    return {start, start + (std::min(count - 1, room) << small) + low_bits(small)};
  }

  // Ends that do not lie between pages.
  Range unaligned(Range range) {
    if (!one_in(random_, 4)) return range;
    return {range.start + below(random_, 3), range.last - below(random_, 3)};
  }

  void map(Range range, Attributes attributes, Existing existing, Cut cut) {
    if (attributes.access == Access{}) attributes.access = Access::both();
    std::uint64_t const length = range.last - range.start, limit = low_bits(format().output_bits);
    if (length > limit) return;
    std::uint64_t output = align_down(random_() & limit, small_);
    // Often an output that lets large pages fit.
    if (!one_in(random_, 3)) output = align_down(output, large_) | (range.start & low_bits(large_));
    if (output > limit - length) output = align_down(limit - length, small_);
    if (!is_aligned(output, small_)) output = 0;
    t_.map(range, output, attributes, existing, cut);
  }

  void walk(Range range) {
    for (int n = 0; n < 6; n++) {
      std::uint64_t const input = range.start + (random_() & (range.last - range.start));
      if (input <= range.last) t_.access(input, {one_in(random_, 2), one_in(random_, 2)});
    }
  }

  void flags(Range range) {
    Clear const clear = one_in(random_, 2) ? Clear::yes : Clear::no;
    if (one_in(random_, 8)) range = half_of(range);
    if (t_.shape().tracks_accessed) t_.read_flags(Flag::accessed, unaligned(range), clear);
    if (t_.shape().tracks_dirty) t_.read_flags(Flag::dirty, unaligned(range), clear);
  }

  CheckedTable& t_;
  Random& random_;
  std::vector<SizePair> pairs_;
  std::vector<std::uint64_t> sites_;
  unsigned small_ = 0, large_ = 0;
};

void run(CheckedTable& t, unsigned steps) {
  std::uint64_t const started_from = seed();
  Random random(started_from);
  RandomChanges changes(t, random);
  for (unsigned n = 0; n < steps && !testing::Test::HasFailure(); n++) {
    SCOPED_TRACE("SWIOMMU_SEED=" + std::to_string(started_from) + ", step " + std::to_string(n));
    changes.step();
    if (n % 64 == 0) t.check();
  }
  t.check();
}

TEST_P(Conformance, RandomChangesAgreeWithTheModel) {
  for_each_table([](CheckedTable& t) { run(t, effort(4000)); }, {TablesIn::own_memory});
}

TEST_P(Conformance, RandomChangesOfForeignTablesAgreeWithTheModel) {
  for_each_table([](CheckedTable& t) { run(t, effort(400)); }, {TablesIn::foreign_little, TablesIn::foreign_big});
}

}  // namespace
}  // namespace swiommu::conformance
