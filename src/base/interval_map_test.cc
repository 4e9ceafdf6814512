#include "swiommu/base/interval_map.h"

#include <gtest/gtest.h>
#include <array>
#include <memory>
#include <random>
#include <vector>

#include "failing_new.h"

namespace swiommu {

// What must hold inside the tree after every operation.
template <class V>
struct IntervalMapInvariants {
  using Node = typename IntervalMap<V>::Node;

  static void expect(IntervalMap<V> const& map) {
    std::size_t count = 0;
    std::uint64_t free_from = 0;
    check(map.root_, nullptr, count, free_from);
    ASSERT_EQ(count, map.size());
  }

 private:
  static void check(Node const* node, Node const* parent, std::size_t& count, std::uint64_t& free_from) {
    if (node == nullptr) return;
    ASSERT_EQ(node->parent, parent);
    check(node->child[0], node, count, free_from);
    ASSERT_EQ(node->gap, node->range.start - free_from);
    free_from = node->range.last + 1;
    ++count;
    check(node->child[1], node, count, free_from);
    int heights[2] = {0, 0};
    std::uint64_t longest = node->gap;
    for (int side : {0, 1}) {
      if (Node const* child = node->child[side]) heights[side] = child->height, longest = std::max(longest, child->longest_gap);
    }
    ASSERT_EQ(node->height, 1 + std::max(heights[0], heights[1]));
    ASSERT_LE(std::abs(heights[0] - heights[1]), 1);
    ASSERT_EQ(node->longest_gap, longest);
  }
};

namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};

// 64 addresses from `base`: per address the value of the entry that holds it, or 0.
struct Model {
  static constexpr unsigned addresses = 64;
  std::uint64_t base;
  std::array<int, addresses> owner{};
  std::size_t entries = 0;

  bool is_free(unsigned first, unsigned last) const {
    for (unsigned i = first; i <= last; ++i) {
      if (owner[i] != 0) return false;
    }
    return true;
  }
  void fill(unsigned first, unsigned last, int value) {
    for (unsigned i = first; i <= last; ++i) owner[i] = value;
  }
  Range extent(int value) const {
    unsigned first = 0, last = addresses - 1;
    while (owner[first] != value) ++first;
    while (owner[last] != value) --last;
    return {base + first, base + last};
  }
  std::optional<Range> first_gap(unsigned first, unsigned last, std::uint64_t length, std::uint64_t alignment) const {
    for (unsigned i = first; i <= last && length <= last - i + 1; ++i) {
      auto const end = static_cast<unsigned>(i + length - 1);
      if (((base + i) & (alignment - 1)) == 0 && is_free(i, end)) return Range{base + i, base + end};
    }
    return std::nullopt;
  }
};

void compare(IntervalMap<int> const& map, Model const& model, std::mt19937_64& random) {
  IntervalMapInvariants<int>::expect(map);
  ASSERT_EQ(map.size(), model.entries);
  unsigned a = random() % 64, b = random() % 64;
  if (a > b) std::swap(a, b);
  Range const within{model.base + a, model.base + b};

  std::vector<std::pair<Range, int>> expected;
  for (unsigned i = a; i <= b; ++i) {
    if (int const value = model.owner[i]; value != 0 && (expected.empty() || expected.back().second != value)) {
      expected.emplace_back(model.extent(value), value);
    }
  }
  std::vector<std::pair<Range, int>> found;
  for (auto const& entry : map.overlapping(within)) found.emplace_back(entry.range, entry.value);
  ASSERT_EQ(found, expected);
  auto const* first = map.first_overlap(within);
  ASSERT_EQ(first == nullptr, expected.empty());
  if (first != nullptr) {
    ASSERT_EQ(first->value, expected.front().second);
  }

  for (unsigned i = 0; i < 64; ++i) {
    auto const* entry = map.find(model.base + i);
    ASSERT_EQ(entry == nullptr ? 0 : entry->value, model.owner[i]);
  }
  for (std::uint64_t alignment = 1; alignment <= 128; alignment *= 2) {
    std::uint64_t const length = 1 + random() % (random() % 4 == 0 ? 70 : 8);
    ASSERT_EQ(map.first_gap(within, length, alignment), model.first_gap(a, b, length, alignment));
  }
}

struct IntervalMapAgainstModel : testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(IntervalMap, IntervalMapAgainstModel, testing::Values(0, 0x7fff'ffff'ffff'ffe0, top - 63));

TEST_P(IntervalMapAgainstModel, AgreesAfterRandomInsertionsAndErasures) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    IntervalMap<int> map;
    Model model{GetParam()};
    for (int step = 1; step <= 300; ++step) {
      unsigned const longest = seed % 2 == 0 ? 3 : 24;
      unsigned const first = random() % 64, last = std::min(63u, static_cast<unsigned>(first + random() % longest));
      if (random() % 8 < (seed % 3 == 0 ? 5 : 4)) {
        auto const inserted = map.insert({model.base + first, model.base + last}, step);
        ASSERT_EQ(inserted.has_value(), model.is_free(first, last));
        if (inserted) {
          ASSERT_EQ((*inserted)->value, step);
          model.fill(first, last, step);
          ++model.entries;
        } else {
          ASSERT_EQ(inserted.error().code, EEXIST);
        }
      } else if (auto* entry = map.find(model.base + first)) {
        auto const above = entry->range.last < model.base + 63 ? map.first_overlap({entry->range.last + 1, top}) : nullptr;
        auto const extent = model.extent(entry->value);
        model.fill(static_cast<unsigned>(extent.start - model.base), static_cast<unsigned>(extent.last - model.base), 0);
        --model.entries;
        ASSERT_EQ(map.erase(*entry), above);
      }
      compare(map, model, random);
      if (testing::Test::HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
    }
  }
}

TEST(IntervalMap, HoldsTheWholeSpaceAsOneEntry) {
  IntervalMap<int> map;
  ASSERT_TRUE(map.insert(Range::all(), 7));
  EXPECT_EQ(map.find(0), map.find(top));
  EXPECT_EQ(map.insert({top, top}, 8).error().code, EEXIST);
  EXPECT_FALSE(map.first_gap(Range::all(), 1, 1));
  EXPECT_EQ(map.erase(*map.find(5)), nullptr);
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.first_gap(Range::all(), top, 1), (Range{0, top - 1}));
}

TEST(IntervalMap, FindsFreeSpaceUpToTheLastByte) {
  IntervalMap<int> map;
  EXPECT_EQ(map.first_gap({top, top}, 1, 1), (Range{top, top}));
  EXPECT_FALSE(map.first_gap({top, top}, 2, 1));
  EXPECT_FALSE(map.first_gap({top, top}, 1, 2));
  EXPECT_FALSE(map.first_gap({1, top}, top, 2));
  EXPECT_EQ(map.first_gap({1, top}, top, 1), (Range{1, top}));
  ASSERT_TRUE(map.insert({0, top - 0x1000}, 1));
  EXPECT_EQ(map.first_gap(Range::all(), 0x1000, 0x1000), (Range{top - 0xfff, top}));
  EXPECT_FALSE(map.first_gap(Range::all(), 1, 0x2000));
  ASSERT_TRUE(map.insert({top - 0xfff, top - 1}, 2));
  EXPECT_EQ(map.first_gap(Range::all(), 1, 1), (Range{top, top}));
  ASSERT_TRUE(map.insert({top, top}, 3));
  EXPECT_FALSE(map.first_gap(Range::all(), 1, 1));
}

TEST(IntervalMap, GivesNoSpaceToASenselessRequest) {
  IntervalMap<int> map;
  EXPECT_FALSE(map.first_gap(Range::all(), 0, 1));
  EXPECT_FALSE(map.first_gap(Range::all(), 1, 0));
  EXPECT_FALSE(map.first_gap(Range::all(), 1, 3));
  EXPECT_EQ(map.first_gap({1, top}, 1, std::uint64_t{1} << 63), (Range{std::uint64_t{1} << 63, std::uint64_t{1} << 63}));
}

TEST(IntervalMap, RefusesOverlapsInWordsAndBackwardRanges) {
  IntervalMap<int> map;
  ASSERT_TRUE(map.insert({0x1000, 0x1fff}, 1));
  EXPECT_EQ(map.insert({0x1fff, 0x2fff}, 2).error(), (Error{EEXIST, "0x1fff-0x2fff overlaps 0x1000-0x1fff"}));
  EXPECT_EQ(map.insert({5, 4}, 2).error().code, EINVAL);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_TRUE(map.insert({0x2000, 0x2fff}, 2));
  EXPECT_TRUE(map.insert({0xfff, 0xfff}, 3));
}

struct ThrowsWhenMoved {
  bool armed = false;
  ThrowsWhenMoved(bool arm) : armed(arm) {}
  ThrowsWhenMoved(ThrowsWhenMoved&& other) : armed(other.armed) {
    if (armed) throw std::bad_alloc();
  }
};

TEST(IntervalMap, IsUnchangedWhenMemoryRunsOut) {
  IntervalMap<ThrowsWhenMoved> map;
  ASSERT_TRUE(map.insert({0x1000, 0x1fff}, false));
  EXPECT_EQ(map.insert({0x3000, 0x3fff}, true).error().code, ENOMEM);
  EXPECT_EQ(map.size(), 1u);
  EXPECT_EQ(map.first_overlap({0x2000, top}), nullptr);
  IntervalMapInvariants<ThrowsWhenMoved>::expect(map);
}

TEST(IntervalMap, KeepsEntriesInPlaceAndMovesAsAWhole) {
  IntervalMap<std::unique_ptr<int>> map;
  std::vector<IntervalMap<std::unique_ptr<int>>::Entry*> entries;
  for (int i = 0; i < 1000; ++i) {  // ascending: the worst order for a tree that does not balance
    entries.push_back(map.insert(Range::block(static_cast<std::uint64_t>(i) << 12, 12), std::make_unique<int>(i)).value());
  }
  auto moved = std::move(map);
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.begin(), map.end());
  for (int i = 0; i < 1000; i += 2) moved.erase(*entries[static_cast<std::size_t>(i)]);
  int next = 1;
  for (auto& entry : moved) {
    EXPECT_EQ(&entry, entries[static_cast<std::size_t>(next)]);
    EXPECT_EQ(*entry.value, next);
    next += 2;
  }
  EXPECT_EQ(next, 1001);
  IntervalMapInvariants<std::unique_ptr<int>>::expect(moved);
  map = std::move(moved);
  EXPECT_EQ(map.size(), 500u);
  map.clear();
  EXPECT_TRUE(map.empty());
  EXPECT_TRUE(map.insert(Range::all(), nullptr));
}

TEST(IntervalMap, SplitsAnEntryInTwoOrChangesNothing) {
  IntervalMap<int> map;
  for (std::uint64_t const start : {100, 200, 300}) ASSERT_TRUE(map.insert({start, start + 9}, static_cast<int>(start)));
  for (std::uint64_t successes = 0;; successes++) {
    FailingNew failing(successes);
    auto const split = map.split(*map.find(200), 203, 1, 2);
    failing.allow();
    IntervalMapInvariants<int>::expect(map);
    if (split) {
      EXPECT_EQ(successes, 2u);
      EXPECT_EQ((*split)->range, (Range{200, 203}));
      EXPECT_EQ((*split)->value, 1);
      break;
    }
    EXPECT_EQ(split.error().code, ENOMEM);
    EXPECT_EQ(map.size(), 3u);
    EXPECT_EQ(map.find(209)->value, 200);
  }
  EXPECT_EQ(map.size(), 4u);
  EXPECT_EQ(map.find(204)->range, (Range{204, 209}));
  EXPECT_EQ(map.find(204)->value, 2);
  ASSERT_TRUE(map.split(*map.find(204), 204, 3, 4));
  IntervalMapInvariants<int>::expect(map);
  EXPECT_EQ(map.find(204)->range.last, 204u);
}

TEST(IntervalMap, ErasesWhileGoingThroughARange) {
  IntervalMap<int> map;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(map.insert(Range::block(static_cast<std::uint64_t>(i) << 4, 4), i));
  Range const range{0x155, 0x2aa};
  int erased = 0;
  for (auto* entry = map.first_overlap(range); entry != nullptr && entry->range.start <= range.last; ++erased) {
    entry = map.erase(*entry);
  }
  EXPECT_EQ(erased, 0x2a - 0x15 + 1);
  EXPECT_EQ(map.first_overlap(range), nullptr);
  EXPECT_EQ(map.first_gap(Range::all(), 0x10, 0x10), (Range{0x150, 0x15f}));
}

}  // namespace
}  // namespace swiommu
