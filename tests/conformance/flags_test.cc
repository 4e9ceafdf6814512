// Accessed and dirty flags: set by walks, read, cleared, and kept when an entry is split.
#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

TEST_P(Conformance, FlagsAreOnlyThereWhereTheTableTracksThem) {
  for_each_table([](CheckedTable& t) {
    Range const half = t.format().inputs().front();
    for (Flag const flag : {Flag::accessed, Flag::dirty}) {
      bool const tracked = flag == Flag::dirty ? t.shape().tracks_dirty : t.shape().tracks_accessed;
      auto const read = t.table().read_flags(flag, half, Clear::no, [](Range) { ADD_FAILURE(); });
      EXPECT_EQ(read.has_value(), tracked);
      if (!read) {
        EXPECT_EQ(read.error().code, EOPNOTSUPP);
      }
    }
    if (t.format().configuration.dirty_updates) {
      EXPECT_TRUE(t.shape().tracks_dirty);
    }
    if (t.format().configuration.accessed_updates) {
      EXPECT_TRUE(t.shape().tracks_accessed);
    }
  });
}

TEST_P(Conformance, AWalkSetsFlagsOnlyIfItMayAndSucceeds) {
  for_each_table([](CheckedTable& t) {
    for (unsigned const lg2 : t.format().chosen_sizes()) {
      if (!has_room(t.format(), lg2)) continue;
      Range const place = places(t.format(), lg2).front();
      ASSERT_EQ(t.map(place, output_for(t.format(), 1, lg2), read_only), 0);
      t.check_flags();
      t.access(place.last, Access::writing());  // no permission
      t.check_flags();
      EXPECT_TRUE(t.table().walk(place.start, Access::reading(), Update::no).ok());
      t.check_flags();
      t.access(place.last, Access::reading());
      t.check();
      ASSERT_EQ(t.replace(place, output_for(t.format(), 1, lg2), read_write), 0);
      t.check_flags();
      t.access(place.start, Access::reading());
      t.check_flags();
      t.access(place.last, Access::both());
      t.check();
      ASSERT_EQ(t.unmap(place), 0);
    }
  });
}

TEST_P(Conformance, FlagsAreClearedForEntriesThatTheRangeHoldsWhole) {
  for_each_table([](CheckedTable& t) {
    if (!t.shape().tracks_dirty) return;
    for (unsigned const lg2 : t.format().chosen_sizes()) {
      if (!has_room(t.format(), lg2 + 1)) continue;
      Range const two = places(t.format(), lg2 + 1).back();
      Range const left{two.start, two.start + low_bits(lg2)}, right{two.start + bit(lg2), two.last};
      ASSERT_EQ(t.map(left, output_for(t.format(), 1, lg2)), 0);
      ASSERT_EQ(t.map(right, output_for(t.format(), 1, lg2)), 0);
      for (std::uint64_t const input : {left.start, left.last, right.start + low_bits(lg2) / 2}) {
        for (Flag const flag : {Flag::dirty, Flag::accessed}) {
          t.access(input, Access::writing());
          t.read_flags(flag, {left.start + 1, right.last - 1}, Clear::yes);  // cuts both: reports, and clears nothing
          t.read_flags(flag, two, Clear::no);
          t.read_flags(flag, {left.start, right.last - 1}, Clear::yes);  // clears the left one only
          t.check_flags();
          t.read_flags(flag, two, Clear::yes);
          t.check();
        }
      }
      ASSERT_EQ(t.unmap(two), 0);
    }
  });
}

TEST_P(Conformance, SplittingKeepsFlags) {
  for_each_table([](CheckedTable& t) {
    if (!t.shape().tracks_dirty) return;
    unsigned const page = t.format().smallest();
    for (unsigned const lg2 : t.format().chosen_sizes()) {
      if (!has_room(t.format(), lg2) || lg2 == page) continue;
      Range const place = places(t.format(), lg2).back();
      // Clean; accessed; dirty; dirty, but accessed no longer. The walk's input is not where the cut is: in a run that is
      // another item.
      for (int const state : {0, 1, 2, 3})
        for (std::uint64_t const input : {place.start, place.last}) {
          SCOPED_TRACE(CheckedTable::describe(place) + " state " + std::to_string(state));
          ASSERT_EQ(t.map(place, output_for(t.format(), 1, lg2)), 0);
          if (state != 0) t.access(input, state == 1 ? Access::reading() : Access::writing());
          if (state == 3) t.read_flags(Flag::accessed, place, Clear::yes);
          Range const hole = Range::block(place.start + bit(lg2 - 1), page);
          ASSERT_EQ(t.unmap(hole, Cut::split), 0);
          t.check();
          ASSERT_EQ(t.unmap(place), 0);
        }
    }
  });
}

}  // namespace
}  // namespace swiommu::conformance
