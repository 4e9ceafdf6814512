// Every allocation of a change fails in turn: the change says ENOMEM and has done nothing.
#include <functional>

#include "conformance/places.h"
#include "conformance/suite.h"
#include "failing_new.h"

namespace swiommu::conformance {
namespace {

struct State {
  std::vector<Leaf> leaves;
  std::vector<Range> dirty;
  std::uint64_t tables = 0;
};

State state_of(CheckedTable& t) {
  State state{.leaves = {}, .dirty = {}, .tables = t.tables_in_use()};
  t.table().visit(Range::all(), [&](Leaf const& leaf) { return state.leaves.push_back(leaf), true; });
  if (!t.shape().tracks_dirty) return state;
  for (Range const half : t.format().inputs())
    EXPECT_TRUE(t.table().read_flags(Flag::dirty, half, Clear::no, [&](Range range) { state.dirty.push_back(range); }));
  return state;
}

void expect_same(State const& a, State const& b) {
  EXPECT_EQ(a.tables, b.tables);
  EXPECT_EQ(a.dirty, b.dirty);
  ASSERT_EQ(a.leaves.size(), b.leaves.size());
  for (std::size_t i = 0; i < a.leaves.size(); i++) {
    EXPECT_EQ(a.leaves[i].range, b.leaves[i].range);
    EXPECT_EQ(a.leaves[i].output, b.leaves[i].output);
    EXPECT_EQ(a.leaves[i].size_lg2, b.leaves[i].size_lg2);
    EXPECT_EQ(a.leaves[i].attributes, b.leaves[i].attributes);
  }
}

// Where to change something; computed before anything is made to fail.
struct Places {
  Range wide;   // across several tables
  Range large;  // one large page, where the format has any
  unsigned page_lg2;
};

using Change = std::function<int(CheckedTable&, Places const&, Gather&)>;  // an errno, or 0

int code_of(Result<void> const& result) { return result ? 0 : result.error().code; }
int code_of(Result<std::uint64_t> const& result) { return result ? 0 : result.error().code; }

// Returns how often the change failed.
unsigned fail_each_table(CheckedTable& t, Places const& places, Change const& change) {
  State const before = state_of(t);
  for (unsigned n = 0;; n++) {
    Gather gather;
    t.made().fail_after(n);
    int const code = change(t, places, gather);
    t.made().fail_after(TableAllocator::never);
    bool const has_tables = gather.has_tables(), has_range = gather.range().has_value();
    gather.finish();
    if (code == 0) return n;
    EXPECT_EQ(code, ENOMEM) << "table " << n;
    EXPECT_FALSE(has_tables || has_range) << "a failed change leaves something to be done";
    expect_same(state_of(t), before);
    if (testing::Test::HasFailure()) return n;
  }
}

unsigned fail_each_new(CheckedTable& t, Places const& places, Change const& change) {
  State const before = state_of(t);
  for (unsigned n = 0;; n++) {
    Gather gather;
    int code = 0;
    {
      FailingNew failing(n);
      code = change(t, places, gather);
    }
    gather.finish();
    if (code == 0) return n;
    EXPECT_EQ(code, ENOMEM) << "operator new " << n;
    expect_same(state_of(t), before);
    if (testing::Test::HasFailure()) return n;
  }
}

Range large_page(FormatUnderTest const& format) {
  std::vector<unsigned> const sizes = format.sizes();
  for (auto lg2 = sizes.rbegin(); lg2 != sizes.rend(); ++lg2)
    if (has_room(format, *lg2) && format.smallest() != *lg2) return places(format, *lg2).back();
  return places(format, format.smallest() + 2).back();
}

Range wide_range(FormatUnderTest const& format) {
  Geometry const& g = format.geometry;
  unsigned const lg2 = std::min({g.level[0].shift + g.level[0].index_bits + 2u, g.input_bits() - 1, format.output_bits - 1});
  Range const place = places(format, lg2).back();
  return {place.start + bit(format.smallest()), place.last - bit(format.smallest())};
}

class FailingAllocations : public Conformance {
 protected:
  // `prepare` makes the state before, with an errno; `change` is then failed in each way until it succeeds.
  void sweep(std::function<int(CheckedTable&, Places const&)> const& prepare, Change const& change) {
    for (bool const by_new : {false, true})
      for (auto const& format : family().formats)
        for (TablesIn const where : {TablesIn::own_memory, TablesIn::foreign_big}) {
          SCOPED_TRACE(format->name + ", " + name(where) + (by_new ? ", operator new" : ", tables"));
          // Destroyed by itself: the model does not follow the change.
          CheckedTable t(*format, where);
          Places const at{.wide = wide_range(*format), .large = large_page(*format), .page_lg2 = format->smallest()};
          ASSERT_EQ(prepare(t, at), 0);
          (by_new ? fail_each_new : fail_each_table)(t, at, change);
          Gather gather;
          for (Range const half : format->inputs()) EXPECT_TRUE(t.table().unmap(half, Cut::refuse, gather));
          gather.finish();
          EXPECT_EQ(t.tables_in_use(), 1u) << "tables are lost";
          if (HasFailure()) return;
        }
  }
};

TEST_P(FailingAllocations, MappingFreshRanges) {
  sweep([](CheckedTable&, Places const&) { return 0; },
        [](CheckedTable& t, Places const& at, Gather& gather) {
          return code_of(t.table().map(at.wide, 0, read_write, Existing::refuse, Cut::refuse, gather));
        });
}

TEST_P(FailingAllocations, MappingManyPagesWhereALargeOneDoesNotFit) {
  sweep([](CheckedTable&, Places const&) { return 0; },
        [](CheckedTable& t, Places const& at, Gather& gather) {
          Range const range{at.large.start,
                            at.large.start + std::min(at.large.last - at.large.start, low_bits(at.page_lg2 + 12))};
          return code_of(t.table().map(range, bit(at.page_lg2), read_write, Existing::refuse, Cut::refuse, gather));
        });
}

int map_and_write(CheckedTable& t, Places const& at) {
  int const code = t.map(at.large, 0);
  t.access(at.large.last, Access::writing());
  return code;
}

TEST_P(FailingAllocations, ReplacingInTheMiddleOfALargePage) {
  sweep(map_and_write, [](CheckedTable& t, Places const& at, Gather& gather) {
    std::uint64_t const start = at.large.start + bit(at.page_lg2), last = at.large.last - bit(at.page_lg2);
    Range const part{start, start + std::min(last - start, low_bits(at.page_lg2 + 9))};
    return code_of(t.table().map(part, bit(at.page_lg2), read_only, Existing::replace, Cut::split, gather));
  });
}

TEST_P(FailingAllocations, UnmappingWithASplit) {
  sweep(map_and_write, [](CheckedTable& t, Places const& at, Gather& gather) {
    Range const part{at.large.start + bit(at.page_lg2), at.large.last - bit(at.page_lg2)};
    return code_of(t.table().unmap(part, Cut::split, gather));
  });
}

TEST_P(FailingAllocations, CreatingATable) {
  for (auto const& format : family().formats) {
    if (!format->is_library_format) continue;
    SCOPED_TRACE(format->name);
    auto const allocator = *TableAllocator::create(std::uint64_t{64} << 20);
    allocator->fail_after(0);
    auto const refused = PageTable::create(format->configuration, allocator);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ENOMEM);
    allocator->fail_after(TableAllocator::never);
    unsigned n = 0;
    for (;; n++) {
      Result<std::unique_ptr<PageTable>> made;
      {
        FailingNew failing(n);
        made = PageTable::create(format->configuration, allocator);
      }
      if (made) break;
      EXPECT_EQ(made.error().code, ENOMEM);
      ASSERT_EQ(allocator->tables_in_use(), 0u) << "operator new " << n;
    }
    EXPECT_GT(n, 0u);
    EXPECT_EQ(allocator->tables_in_use(), 0u);
    EXPECT_EQ(allocator.use_count(), 1) << "somebody still holds the allocator";
  }
}

SWIOMMU_FOR_ALL_FORMATS(FailingAllocations);

}  // namespace
}  // namespace swiommu::conformance
