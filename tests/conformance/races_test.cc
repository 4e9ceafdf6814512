// Races, each made to happen: just before one compare-and-swap of a change somebody else is there first.
#include <algorithm>
#include <functional>

#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

// Does something before the `number`th compare-and-swap from now on, counted from 0, and only there.
class Intruder {
 public:
  Intruder(CheckedTable& t, std::uint64_t number, std::function<void()> act) : recorder_(*t.made().recorder) {
    recorder_.before_exchange = [this, left = number, act = std::move(act)]() mutable {
      if (has_acted_ || left-- != 0) return;
      has_acted_ = true;
      act();
    };
  }
  ~Intruder() {
    recorder_.before_exchange = [] {};
  }
  Intruder(Intruder const&) = delete;
  Intruder& operator=(Intruder const&) = delete;

  [[nodiscard]] bool has_acted() const { return has_acted_; }

 private:
  Recorder& recorder_;
  bool has_acted_ = false;
};

class PageTableRaces : public Conformance {};

TEST_P(PageTableRaces, WhoInstallsATableTooLateGivesItBackAndGoesOnInTheOthers) {
  for_each_table(
      [](CheckedTable& t) {
        unsigned const lg2 = t.format().smallest();
        if (!has_room(t.format(), lg2 + 1)) return;
        Range const two = places(t.format(), lg2 + 1).back();
        Range const left{two.start, two.start + low_bits(lg2)}, right{two.start + bit(lg2), two.last};
        {
          Intruder const intruder(t, 0, [&] { EXPECT_EQ(t.map(right, output_for(t.format(), 2, lg2)), 0); });
          ASSERT_EQ(t.map(left, output_for(t.format(), 1, lg2)), 0);
          EXPECT_EQ(intruder.has_acted(), t.format().geometry.levels > 1);
        }
        t.check();
        // destroy() counts the tables
      },
      {TablesIn::recording_memory});
}

bool covers(std::vector<Range> parts, Range whole) {
  std::ranges::sort(parts, {}, &Range::start);
  std::uint64_t next = whole.start;
  for (Range const& part : parts) {
    if (part.start > next) return false;
    if (part.last >= whole.last) return true;
    if (part.last >= next) next = part.last + 1;
  }
  return false;
}

// Maps an entry of 2^large bytes and cuts its first 2^small bytes off. Before one of the exchanges that this takes somebody
// writes at its end, who may then write all that was one entry at the time without any further mark; and, if `harvests`, somebody
// reads and clears the dirty flags. Returns false if there were not that many exchanges.
bool split_beside_a_writer(CheckedTable& t, SizePair sizes, std::uint64_t exchange, bool harvests) {
  Range const place = places(t.format(), sizes.large_lg2).back();
  Range const first = Range::block(place.start, sizes.small_lg2);
  Gather gather;
  EXPECT_TRUE(
      t.table().map(place, output_for(t.format(), 1, sizes.large_lg2), read_write, Existing::refuse, Cut::refuse, gather));
  std::optional<Range> writable;
  std::vector<Range> dirty;
  auto const harvest = [&](Clear clear) {
    EXPECT_TRUE(t.table().read_flags(Flag::dirty, place, clear, [&](Range part) { dirty.push_back(part); }));
  };
  Intruder const intruder(t, exchange, [&] {
    Walk const walk = t.table().walk(place.last, Access::writing(), Update::yes);
    EXPECT_TRUE(walk.ok());
    writable = Range::block(place.last, walk.size_lg2);
    if (harvests) harvest(Clear::yes);
  });
  EXPECT_TRUE(t.table().unmap(first, Cut::split, gather));
  harvest(Clear::no);
  if (writable) {
    if (writable->contains(first)) writable->start = first.last + 1;
    EXPECT_TRUE(covers(dirty, *writable)) << CheckedTable::describe(*writable) << " is not dirty, or not all of it";
  } else {
    EXPECT_TRUE(dirty.empty());
  }
  EXPECT_TRUE(t.table().unmap(place, Cut::refuse, gather));
  gather.finish();
  return intruder.has_acted();
}

TEST_P(PageTableRaces, SplittingARunLosesNoDirtyMarkThatIsMadeMeanwhile) {
  for_each_table(
      [](CheckedTable& t) {
        if (!t.shape().tracks_dirty) return;
        for (SizePair const sizes : size_pairs(t.format()))
          for (bool const harvests : {false, true})
            for (std::uint64_t exchange = 0;; exchange += 1 + exchange / 4) {
              SCOPED_TRACE(testing::Message() << "2^" << sizes.large_lg2 << " into 2^" << sizes.small_lg2 << ", before exchange "
                                              << exchange << (harvests ? ", harvested" : ""));
              if (!split_beside_a_writer(t, sizes, exchange, harvests) || HasFailure()) break;
            }
      },
      {TablesIn::recording_memory});
}

SWIOMMU_FOR_ALL_FORMATS(PageTableRaces);

}  // namespace
}  // namespace swiommu::conformance
