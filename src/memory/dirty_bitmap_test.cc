#include "swiommu/memory/dirty_bitmap.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace swiommu {
namespace {

std::vector<Range> dirty_ranges(DirtyBitmap const& bitmap) {
  std::vector<Range> ranges;
  bitmap.for_each_dirty_range([&](Range range) { ranges.push_back(range); });
  return ranges;
}

TEST(DirtyBitmap, NumbersBitsFromTheStartOfItsRange) {
  std::vector<std::uint64_t> words(2);
  auto bitmap = DirtyBitmap::over({0x7000, 0x7000 + 70 * 0x1000 - 1}, 12, words);
  bitmap->set({0x7fff, 0x8000});
  bitmap->set({0x7000 + 63 * 0x1000, 0x7000 + 64 * 0x1000});
  EXPECT_EQ(words, (std::vector<std::uint64_t>{0x8000000000000003, 1}));
  EXPECT_TRUE(bitmap->test(0x7000));
  EXPECT_FALSE(bitmap->test(0x9000));
  EXPECT_EQ(dirty_ranges(*bitmap), (std::vector<Range>{{0x7000, 0x8fff}, {0x7000 + 63 * 0x1000, 0x7000 + 65 * 0x1000 - 1}}));
}

TEST(DirtyBitmap, ClipsAndOnlyAdds) {
  std::vector<std::uint64_t> words{0xf0, 0xdead};
  auto bitmap = DirtyBitmap::over({0x10000, 0x1ffff}, 12, words);
  bitmap->set({0, 0xffff});
  bitmap->set({0x20000, Range::all().last});
  EXPECT_EQ(words[0], 0xf0u);
  bitmap->set({0, 0x10000});
  bitmap->set({0x1ffff, 0x20000});
  EXPECT_EQ(words, (std::vector<std::uint64_t>{0x80f1, 0xdead}));
  EXPECT_FALSE(bitmap->test(0xffff));
  EXPECT_FALSE(bitmap->test(0x20000));
}

TEST(DirtyBitmap, CoversTheTopOfTheSpace) {
  std::vector<std::uint64_t> words(1);
  auto whole = DirtyBitmap::over(Range::all(), 58, words);
  whole->set({Range::all().last, Range::all().last});
  EXPECT_EQ(words[0], std::uint64_t{1} << 63);
  EXPECT_EQ(dirty_ranges(*whole), (std::vector<Range>{{bit_span(63, 58), Range::all().last}}));
  whole->set(Range::all());
  EXPECT_EQ(dirty_ranges(*whole), (std::vector<Range>{Range::all()}));
  EXPECT_EQ(DirtyBitmap::words_for(Range::all(), 12), std::uint64_t{1} << 46);
  EXPECT_EQ(DirtyBitmap::words_for(Range::all(), 64), 1u);
}

TEST(DirtyBitmap, RefusesTooFewWords) {
  std::vector<std::uint64_t> words(1);
  EXPECT_TRUE(DirtyBitmap::over({0, 64 * 0x1000 - 1}, 12, words));
  EXPECT_EQ(DirtyBitmap::over({0, 64 * 0x1000}, 12, words).error().code, EINVAL);
  EXPECT_EQ(DirtyBitmap::over({1, 0}, 12, words).error().code, EINVAL);
}

TEST(DirtyBitmap, AgreesWithAFlagPerPage) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    unsigned const lg2 = random() % 5;
    std::uint64_t const start = random() % 1000, pages = 1 + random() % 300;
    Range const range{start, start + (pages << lg2) - 1 - random() % (std::uint64_t{1} << lg2)};
    std::vector<std::uint64_t> words(DirtyBitmap::words_for(range, lg2));
    std::vector<bool> model(pages);
    auto bitmap = DirtyBitmap::over(range, lg2, words);
    for (unsigned i = 0, count = random() % 6; i < count; ++i) {
      std::uint64_t const a = random() % (start + (pages << lg2) + 100);
      Range const dirty{a, a + random() % 400};
      bitmap->set(dirty);
      for (std::uint64_t page = 0; page < pages; ++page) {
        Range const whole{start + (page << lg2), std::min(start + ((page + 1) << lg2) - 1, range.last)};
        if (whole.overlaps(dirty)) model[page] = true;
      }
    }
    std::vector<bool> seen(pages);
    std::uint64_t next = 0;
    for (Range const dirty : dirty_ranges(*bitmap)) {
      EXPECT_TRUE(next == 0 || dirty.start > next) << "neighbours are one run";
      next = dirty.last + 1;
      for (std::uint64_t a = dirty.start; a <= dirty.last; ++a) seen[(a - start) >> lg2] = true;
    }
    ASSERT_EQ(seen, model);
    for (std::uint64_t a = range.start; a <= range.last; ++a) ASSERT_EQ(bitmap->test(a), model[(a - start) >> lg2]);
  }
}

}  // namespace
}  // namespace swiommu
