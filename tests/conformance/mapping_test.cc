// What can be mapped, and what a walk and a visit find then.
#include <set>

#include "conformance/places.h"
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

// The input whose index at `level` is `index`, and 0 at all other levels.
std::uint64_t input_of(FormatUnderTest const& format, unsigned level, std::uint64_t index) {
  Geometry const& g = format.geometry;
  std::uint64_t const input = index << g.level[level].shift, above = ~low_bits(g.input_bits());
  if (g.extension == Extension::ones || (g.extension == Extension::sign && (input >> (g.input_bits() - 1) & 1) != 0))
    return input | above;
  return input;
}

TEST_P(Conformance, EachIndexAtEachLevelLeadsToItsOwnSlot) {
  for_each_table([](CheckedTable& t) {
    Geometry const& g = t.format().geometry;
    unsigned const page = t.format().smallest();
    unsigned leaf_level = 0;  // not the lowest, and slots of it are passed over, if the smallest leaves are not offered
    while (leaf_level + 1 < g.levels && g.level[leaf_level + 1].shift <= page) leaf_level++;
    std::set<std::uint64_t> inputs;
    std::set<std::pair<std::uint64_t, std::uint64_t>> slots;
    for (unsigned l = 0; l < g.levels; l++) {
      std::uint64_t const count = bit(g.level[l].index_bits), step = l == 0 || count <= 64 ? 1 : count / 32 - 1;
      for (std::uint64_t i = 0; i < count; i += step) inputs.insert(align_down(input_of(t.format(), l, i), page));
      inputs.insert(align_down(input_of(t.format(), l, count - 1), page));
    }
    for (std::uint64_t const input : inputs)
      ASSERT_EQ(t.map(Range::block(input, page), output_for(t.format(), input >> page, page)), 0);
    for (std::uint64_t const input : inputs) {
      t.check_walk(input);
      std::vector<WalkStep> steps;
      ASSERT_TRUE(t.table().explain(input, Access{}, steps));
      ASSERT_EQ(steps.size(), g.levels - leaf_level);
      for (WalkStep const& s : steps) {
        EXPECT_EQ(s.index, input >> g.level[s.level].shift & low_bits(g.level[s.level].index_bits));
        EXPECT_EQ(s.entry_address, s.table + s.index * t.format().entry_size);
      }
      EXPECT_TRUE(slots.emplace(steps.back().table, steps.back().index).second) << "a slot twice";
    }
    t.check();
  });
}

TEST_P(Conformance, MapsEachSizeOfPageEverywhere) {
  for_each_table([](CheckedTable& t) {
    for (unsigned const lg2 : t.format().sizes()) {
      if (lg2 > t.format().output_bits) continue;
      for (Range const place : places(t.format(), lg2)) {
        SCOPED_TRACE(CheckedTable::describe(place));
        ASSERT_EQ(t.map(place, output_for(t.format(), place.start, lg2)), 0);
        ASSERT_EQ(t.model().entries().size(), 1u) << "one page is one entry";
        for (std::uint64_t const input : {place.start, place.start + 0x123, place.start + low_bits(lg2) / 2, place.last})
          t.check_walk(input);
        for (std::uint64_t const input : {place.start - 1, place.last + 1})
          if (t.shape().contains({input, input}) && !place.contains(input)) t.check_walk(input);
        t.check();
        ASSERT_EQ(t.unmap(place), 0);
        t.check();
      }
    }
  });
}

TEST_P(Conformance, MixesSizesInOneCallAndTakesTheLargest) {
  for_each_table([](CheckedTable& t) {
    for (auto const [small, large] : size_pairs(t.format())) {
      if (large - small > 13 || large + 2 > t.format().output_bits) continue;
      for (Range const place : places(t.format(), large)) {
        // From some small pages below `place` to some above it, as far as there is room.
        for (Range const half : t.format().inputs()) {
          if (!half.contains(place)) continue;
          Range const range{place.start - half.start < bit(small + 1) ? half.start : place.start - bit(small + 1),
                            half.last - place.last < bit(small) ? half.last : place.last + bit(small)};
          SCOPED_TRACE(CheckedTable::describe(range) + " sizes " + std::to_string(small) + " and " + std::to_string(large));
          // Outputs that fit the large page, and outputs off by one small page.
          std::uint64_t const output = align_down(low_bits(t.format().output_bits) / 2, large) + (range.start & low_bits(large));
          for (std::uint64_t const shifted : {output, output ^ bit(small)}) {
            ASSERT_EQ(t.map(range, shifted), 0);
            bool const has_large = t.model().find(place.start)->second.size_lg2 >= large;
            EXPECT_EQ(has_large, shifted == output);
            t.check();
            ASSERT_EQ(t.unmap(range), 0);
          }
        }
      }
    }
  });
}

TEST_P(Conformance, RunsAtTheEdgesOfTablesStayInTheirTables) {
  for_each_table([](CheckedTable& t) {
    Geometry const& g = t.format().geometry;
    for (unsigned l = 0; l < g.levels; l++) {
      unsigned const table_lg2 = g.level[l].shift + g.level[l].index_bits;
      for (unsigned lg2 = g.level[l].shift + 1u; lg2 < std::min(table_lg2, t.format().output_bits); lg2++) {
        if ((t.format().leaf_sizes[l] >> lg2 & 1) == 0) continue;
        for (Range const table : places(t.format(), table_lg2)) {
          ASSERT_EQ(t.map(Range::block(table.start, lg2), output_for(t.format(), 1, lg2)), 0);
          ASSERT_EQ(t.map(Range::block(table.last, lg2), output_for(t.format(), 2, lg2)), 0);
          EXPECT_EQ(t.model().entries().size(), 2u);
          t.check();
          for (std::uint64_t const input : {table.start, table.last}) t.check_walk(input);
          ASSERT_EQ(t.unmap(table), 0);
        }
      }
    }
  });
}

TEST_P(Conformance, AttributesComeBackAsFarAsTheFormatCanExpressThem) {
  for_each_table([](CheckedTable& t) {
    for (unsigned const lg2 : t.format().sizes()) {
      if (!has_room(t.format(), lg2)) continue;
      Range const place = places(t.format(), lg2).back();
      for (Access const rights : {Access::both(), Access::reading(), Access::writing()})
        for (MemoryType const memory : {MemoryType::normal, MemoryType::noncacheable, MemoryType::device})
          for (bool const coherent : {false, true}) {
            Attributes const given{.access = rights, .memory = memory, .coherent = coherent};
            ASSERT_EQ(t.map(place, output_for(t.format(), 7, lg2), given), 0);
            t.check();  // compares with what is expressible
            for (Access const wanted : {Access::both(), Access::reading(), Access::writing(), Access{}}) {
              Walk const walk = t.table().walk(place.last, wanted, Update::no);
              bool const allowed = t.format().expresses(given).access.covers(wanted);
              EXPECT_EQ(walk.reason, allowed ? Reason::none : Reason::permission);
              EXPECT_EQ(walk.output, output_for(t.format(), 7, lg2) + low_bits(lg2));
            }
            ASSERT_EQ(t.unmap(place), 0);
          }
    }
  });
}

TEST_P(Conformance, RefusesWhatLiesBeyondItsInputsAndOutputs) {
  for_each_table([](CheckedTable& t) {
    unsigned const page = t.format().smallest();
    auto const expect = [&](int code, Range range, std::uint64_t output, Attributes attributes = read_write) {
      Gather gather;
      auto const mapped = t.table().map(range, output, attributes, Existing::refuse, Cut::refuse, gather);
      ASSERT_FALSE(mapped) << CheckedTable::describe(range);
      EXPECT_EQ(mapped.error().code, code) << mapped.error().message();
    };
    auto const expect_range_refused = [&](Range range) {
      expect(ERANGE, range, 0);
      Gather gather;
      auto const unmapped = t.table().unmap(range, Cut::split, gather);
      ASSERT_FALSE(unmapped) << CheckedTable::describe(range);
      EXPECT_EQ(unmapped.error().code, ERANGE);
      if (!t.shape().tracks_accessed) return;
      auto const read = t.table().read_flags(Flag::accessed, range, Clear::no, [](Range) {});
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error().code, ERANGE);
    };
    bool const is_whole_space = t.format().inputs().front() == Range::all();
    for (Range const half : t.format().inputs()) {
      Range const first = Range::block(half.start, page), last = Range::block(half.last, page);
      expect(EINVAL, {first.start + 1, first.last}, 0);
      expect(EINVAL, {first.start, first.last - 1}, 0);
      expect(EINVAL, first, bit(page) - 1);
      expect(EINVAL, first, 0, Attributes{});
      expect_range_refused({first.last + 1, first.start});
      expect_range_refused({first.last + 1, first.last});
      if (is_whole_space) continue;
      for (Range const outside : {Range::block(half.start - 1, page), Range::block(half.last + 1, page)}) {
        if (t.shape().contains(outside)) continue;
        expect_range_refused(outside);
        if (outside.last != ~std::uint64_t{0} && outside.last + 1 == first.start)
          expect_range_refused({outside.start, first.last});
        if (outside.start != 0 && outside.start - 1 == last.last) expect_range_refused({last.start, outside.last});
        bool const tag_ignored = t.format().geometry.ignored_top_bits != 0 && t.format().geometry.input_bits() >= 56;
        if (!tag_ignored) {
          EXPECT_EQ(t.table().walk(outside.start, Access{}, Update::no).reason, Reason::out_of_range);
        }
      }
    }
    if (auto const inputs = t.format().inputs(); inputs.size() == 2) {
      expect_range_refused({inputs[0].last - low_bits(page), inputs[1].start + low_bits(page)});
      expect_range_refused(Range::all());
      EXPECT_EQ(t.table().walk(inputs[0].last + 1, Access{}, Update::no).reason, Reason::out_of_range);
      EXPECT_EQ(t.table().walk(inputs[1].start - 1, Access{}, Update::no).reason, Reason::out_of_range);
    }
    std::uint64_t const beyond = bit(t.format().output_bits);  // 0 if nothing is beyond
    Range const two = Range{t.format().inputs().front().start, t.format().inputs().front().start + low_bits(page + 1)};
    expect(ERANGE, two, beyond - bit(page));
    if (beyond != 0) expect(ERANGE, two, beyond);
    EXPECT_EQ(t.tables_in_use(), 1u) << "refused, but tables were made";
    t.check();
    Range const page_range = Range::block(two.start, page);
    ASSERT_EQ(t.map(page_range, beyond - bit(page)), 0) << "the last output";
    t.check_walk(page_range.last);
  });
}

TEST_P(Conformance, TakesTheFirstAndTheLastPageOfItsInputs) {
  for_each_table([](CheckedTable& t) {
    unsigned const page = t.format().smallest();
    std::uint64_t salt = 0;
    for (Range const half : t.format().inputs())
      for (std::uint64_t const input : {half.start, half.last})
        ASSERT_EQ(t.map(Range::block(input, page), output_for(t.format(), salt++, page)), 0);
    t.check();
    for (Range const half : t.format().inputs())
      for (std::uint64_t const input : {half.start, half.start + bit(page), half.last - bit(page), half.last})
        t.check_walk(input);
    EXPECT_EQ(t.shape().contains({t.format().inputs().back().last, t.format().inputs().back().last}), true);
    EXPECT_EQ(t.shape().smallest_page_lg2(), page);
  });
}

TEST_P(Conformance, AVisitIsClippedStoppedAndLimited) {
  for_each_table([](CheckedTable& t) {
    unsigned const large = t.format().sizes().back() <= t.format().output_bits && has_room(t.format(), t.format().sizes().back())
                               ? t.format().sizes().back()
                               : t.format().smallest();
    Range const place = places(t.format(), large).back();
    ASSERT_EQ(t.map(place, output_for(t.format(), 3, large)), 0);
    for (Range const part :
         {Range{place.start + 1, place.last - 1}, Range{place.start, place.start}, Range{place.last, place.last}})
      t.check(part);
    unsigned calls = 0;
    EXPECT_FALSE(t.table().visit(place, [&](Leaf const&) { return ++calls < 1; }));
    EXPECT_EQ(calls, 1u);
    EXPECT_FALSE(t.table().visit(place, [](Leaf const&) { return true; }, 0));
    EXPECT_TRUE(t.table().visit({place.start, place.start}, [](Leaf const&) { return true; }, t.shape().levels));
    EXPECT_TRUE(t.table().visit({place.last, place.start}, [](Leaf const&) { return ADD_FAILURE(), true; }));
  });
}

}  // namespace
}  // namespace swiommu::conformance
