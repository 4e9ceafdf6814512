// Changes of what is mapped: overlaps, cuts, replacing, and the tables that they leave.
#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

// Boundaries inside `range` to cut at: next to both ends and in the middle, at each size below.
std::vector<std::uint64_t> cuts(FormatUnderTest const& format, Range range) {
  std::vector<std::uint64_t> all;
  for (unsigned const lg2 : format.chosen_sizes()) {
    if (bit(lg2) > range.last - range.start) break;
    std::uint64_t const middle = align_down(range.start + (range.last - range.start) / 2, lg2);
    for (std::uint64_t const at : {range.start + bit(lg2), range.last + 1 - bit(lg2), middle, middle + bit(lg2)})
      if (at > range.start && at <= range.last && std::find(all.begin(), all.end(), at) == all.end()) all.push_back(at);
  }
  return all;
}

TEST_P(Conformance, MappingOverSomethingIsRefusedAndChangesNothing) {
  for_each_table([](CheckedTable& t) {
    std::vector<unsigned> const sizes = t.format().chosen_sizes();
    for (unsigned const old : sizes) {
      if (!has_room(t.format(), old)) continue;
      Range const place = places(t.format(), old)[places(t.format(), old).size() / 2];
      ASSERT_EQ(t.map(place, output_for(t.format(), 1, old), read_only), 0);
      std::uint64_t const tables = t.tables_in_use();
      for (unsigned const fresh : sizes) {
        if (!has_room(t.format(), fresh)) continue;
        for (std::uint64_t const input : {place.start, place.last}) {
          Range const over = Range::block(input, fresh);
          if (t.shape().contains(over)) {
            EXPECT_EQ(t.map(over, output_for(t.format(), 2, fresh)), EEXIST);
          }
        }
      }
      // A long range that meets it at its very end.
      Range const half = t.format().inputs()[t.format().inputs().front().contains(place) ? 0 : 1];
      std::uint64_t const before = std::min<std::uint64_t>(place.start - half.start, bit(sizes.front()) * 5);
      Range const reaching{place.start - before, place.start + low_bits(sizes.front())};
      EXPECT_EQ(t.map(reaching, 0), EEXIST);
      EXPECT_EQ(t.tables_in_use(), tables);
      t.check();
      ASSERT_EQ(t.unmap(place), 0);
    }
  });
}

TEST_P(Conformance, UnmappingRefusesToCutOrSplitsAsItIsTold) {
  for_each_table([](CheckedTable& t) {
    for (unsigned const lg2 : t.format().chosen_sizes()) {
      if (!has_room(t.format(), lg2)) continue;
      Range const place = places(t.format(), lg2).back();
      for (std::uint64_t const boundary : cuts(t.format(), place)) {
        SCOPED_TRACE(CheckedTable::describe(place) + " cut at " + CheckedTable::describe({boundary, boundary}));
        for (Range const part : {Range{place.start, boundary - 1}, Range{boundary, place.last}}) {
          ASSERT_EQ(t.map(place, output_for(t.format(), lg2, lg2)), 0);
          std::uint64_t const tables = t.tables_in_use();
          EXPECT_EQ(t.unmap(part), EINVAL);
          EXPECT_EQ(t.tables_in_use(), tables);
          t.check_walk(boundary);
          EXPECT_EQ(t.unmap({part.start + 1, part.last}, Cut::split), EINVAL) << "not even split can cut the smallest page";
          EXPECT_EQ(t.unmap({part.start, part.last - 1}, Cut::split), EINVAL);
          t.check_walk(boundary);
          ASSERT_EQ(t.unmap(part, Cut::split), 0);
          for (std::uint64_t const input : {place.start, boundary - 1, boundary, place.last}) t.check_walk(input);
          t.check();
          ASSERT_EQ(t.unmap(place), 0);
        }
      }
    }
  });
}

TEST_P(Conformance, UnmappingCutsOneEntryAtBothEnds) {
  for_each_table([](CheckedTable& t) {
    unsigned const page = t.format().smallest();
    for (unsigned const lg2 : t.format().chosen_sizes()) {
      if (!has_room(t.format(), lg2) || lg2 < page + 2) continue;
      Range const place = places(t.format(), lg2).front();
      for (Range const hole :
           {Range::block(place.start + bit(page), page), Range{place.start + bit(page), place.last - bit(page)},
            Range::block(place.start + bit(lg2 - 1), page)}) {
        ASSERT_EQ(t.map(place, output_for(t.format(), 5, lg2), read_only), 0);
        ASSERT_EQ(t.unmap(hole), EINVAL);
        ASSERT_EQ(t.unmap(hole, Cut::split), 0) << CheckedTable::describe(hole);
        t.check();
        ASSERT_EQ(t.unmap(place), 0);
      }
    }
  });
}

TEST_P(Conformance, ReplacingTurnsAnySizeIntoAnyOther) {
  for_each_table([](CheckedTable& t) {
    for (unsigned const old : t.format().chosen_sizes())
      for (unsigned const fresh : t.format().chosen_sizes()) {
        unsigned const larger = std::max(old, fresh);
        if (!has_room(t.format(), larger)) continue;
        Range const block = places(t.format(), larger).back();
        for (std::uint64_t const inside : {block.start, block.last, block.start + bit(larger) / 2}) {
          Range const before = Range::block(inside, old), after = Range::block(inside, fresh);
          SCOPED_TRACE(CheckedTable::describe(before) + " replaced by " + CheckedTable::describe(after));
          ASSERT_EQ(t.map(before, output_for(t.format(), 1, old)), 0);
          if (fresh < old) {
            ASSERT_EQ(t.replace(after, output_for(t.format(), 2, fresh), read_only), EINVAL);
            t.check_walk(inside);
          }
          ASSERT_EQ(t.replace(after, output_for(t.format(), 2, fresh), read_only, Cut::split), 0);
          for (std::uint64_t const input : {before.start, before.last, after.start, after.last}) t.check_walk(input);
          t.check();
          ASSERT_EQ(t.unmap(block), 0);
        }
      }
  });
}

TEST_P(Conformance, ReplacingManyByOneFreesTheirTables) {
  for_each_table([](CheckedTable& t) {
    for (auto const [small, large] : size_pairs(t.format())) {
      if (large - small > 13) continue;
      Range const place = places(t.format(), large).back();
      ASSERT_EQ(t.map(place, output_for(t.format(), 1, large)), 0);
      std::uint64_t const tables = t.tables_in_use();
      ASSERT_EQ(t.unmap(place), 0);
      // Small pages in scattered order, and holes between them.
      for (std::uint64_t i = 0; i < bit(large - small); i += 2)
        ASSERT_EQ(t.map(Range::block(place.start + (i << small), small), output_for(t.format(), i, small)), 0);
      ASSERT_EQ(t.replace(place, output_for(t.format(), 4, large)), 0);
      t.check();
      EXPECT_EQ(t.tables_in_use(), tables) << "sizes " << small << " and " << large;
      ASSERT_EQ(t.unmap(place), 0);
    }
  });
}

TEST_P(Conformance, EmptyTablesGiveWayToALargePage) {
  for_each_table([](CheckedTable& t) {
    for (auto const [small, large] : size_pairs(t.format())) {
      Range const place = places(t.format(), large).back();
      ASSERT_EQ(t.map(place, output_for(t.format(), 1, large)), 0);
      std::uint64_t const tables = t.tables_in_use();
      ASSERT_EQ(t.unmap(place), 0);
      for (std::uint64_t const input : {place.start, place.last}) {
        ASSERT_EQ(t.map(Range::block(input, small), output_for(t.format(), 2, small)), 0);
        ASSERT_EQ(t.unmap(Range::block(input, small)), 0);
      }
      ASSERT_EQ(t.map(place, output_for(t.format(), 3, large)), 0);
      EXPECT_EQ(t.tables_in_use(), tables) << "sizes " << small << " and " << large;
      t.check();
      ASSERT_EQ(t.unmap(place), 0);
    }
  });
}

TEST_P(Conformance, TablesThatARangeCoversAreFreed) {
  for_each_table([](CheckedTable& t) {
    Geometry const& g = t.format().geometry;
    unsigned const page = t.format().smallest();
    for (unsigned l = 0; l + 1 < g.levels; l++) {
      if (page >= g.level[l + 1].shift) continue;  // no such small leaf is offered: there are no tables of level l
      Range const covered = places(t.format(), g.level[l + 1].shift).back();
      std::uint64_t const tables = t.tables_in_use();
      // The way to the table, and the table itself.
      ASSERT_EQ(t.map(Range::block(covered.start, page), 0), 0);
      ASSERT_EQ(t.map(Range::block(covered.last, page), 0), 0);
      std::uint64_t const with_pages = t.tables_in_use();
      EXPECT_GT(with_pages, tables);
      ASSERT_EQ(t.unmap({covered.start, covered.last - bit(page)}), 0) << "not the whole of it";
      t.check();
      EXPECT_LE(t.tables_in_use(), with_pages);
      ASSERT_EQ(t.unmap(covered), 0);
      t.check();
      EXPECT_EQ(t.tables_in_use(), 1u + (g.levels - 2u - l)) << "level " << l;  // the tables above remain
      ASSERT_EQ(t.unmap(t.format().inputs().back()), 0);
    }
  });
}

TEST_P(Conformance, UnmappingPassesOverHoles) {
  for_each_table([](CheckedTable& t) {
    unsigned const page = t.format().smallest();
    Range const half = t.format().inputs().back();
    ASSERT_EQ(t.unmap(half), 0);
    ASSERT_EQ(t.unmap({half.start + 5, half.last - 7}), 0) << "in a hole nothing is cut";
    for (std::uint64_t const at : {half.start + bit(page), half.start + bit(page) * 3, half.last - low_bits(page)})
      ASSERT_EQ(t.map(Range::block(at, page), 0), 0);
    ASSERT_EQ(t.unmap({half.start + 5, half.start + bit(page + 1) + 5}), 0) << "the ends lie in holes";
    t.check();
    ASSERT_EQ(t.unmap({half.start + bit(page) * 3 + 1, half.last}), EINVAL);
    t.check();
    ASSERT_EQ(t.unmap(half), 0);
    t.check();
  });
}

}  // namespace
}  // namespace swiommu::conformance
