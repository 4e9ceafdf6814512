#include "device/iotlb.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <tuple>

namespace swiommu {
namespace {

constexpr std::uint64_t reading = LastTranslation::rights_of(Access::reading());

std::byte* place(std::uint64_t address) { return std::bit_cast<std::byte*>(address); }

TEST(Iotlb, KeepsBlocksOfEachSize) {
  auto table = Iotlb::create().value();
  std::uint64_t const input = 0x7'1234'5678;
  for (std::size_t n = Iotlb::sizes.size(); n-- > 0;) {
    EXPECT_FALSE(table.find(input, reading, 1));
    std::uint64_t const block = low_bits(Iotlb::sizes[n].block_lg2);
    table.insert(n, input, place(0x10'0000'0000), Access::reading(), 1);
    for (std::uint64_t const at : {input, input & ~block, input | block}) {
      auto const found = table.find(at, reading, 1);
      ASSERT_TRUE(found);
      EXPECT_EQ(found.data(at), place(0x10'0000'0000 + (at & block)));
      EXPECT_EQ(found.rest, block);
    }
    EXPECT_FALSE(table.find((input & ~block) - 1, reading, 1));
    EXPECT_FALSE(table.find((input | block) + 1, reading, 1));
    table.forget({input, input});
  }
}

TEST(Iotlb, TellsContextsAndRightsApart) {
  auto table = Iotlb::create().value();
  table.insert(2, 0x1000, place(0x5000), Access::writing(), 1);
  table.insert(2, 0x1000, place(0x9000), Access::both(), Iotlb::most_contexts);
  EXPECT_FALSE(table.find(0x1000, reading, 1));
  EXPECT_EQ(table.find(0x1008, LastTranslation::rights_of(Access::writing()), 1).data(0x1008), place(0x5008));
  EXPECT_EQ(table.find(0x1008, LastTranslation::rights_of(Access::both()), Iotlb::most_contexts).data(0x1008), place(0x9008));
  EXPECT_FALSE(table.find(0x1000, reading, 2));
  table.forget({0x1fff, 0x2fff});
  EXPECT_FALSE(table.find(0x1008, LastTranslation::rights_of({}), 1)) << "all contexts";
  EXPECT_FALSE(table.find(0x1008, reading, Iotlb::most_contexts));
}

TEST(Iotlb, LowMemoryIsAsGoodAsAny) {
  auto table = Iotlb::create().value();
  table.insert(2, 0xffff'ffff'ffff'f123, place(0x1000), Access::both(), 7);  // the difference wraps
  EXPECT_EQ(table.find(~std::uint64_t{0}, reading, 7).data(~std::uint64_t{0}), place(0x1fff));
  EXPECT_FALSE(table.find(0, LastTranslation::rights_of({}), 7));
}

// It may lose what it was given, but never has anything else.
TEST(Iotlb, HasNothingThatItWasNotGivenOrThatWasForgotten) {
  auto table = Iotlb::create().value();
  std::map<std::tuple<std::size_t, std::uint64_t, std::uint32_t>, std::uint64_t> model;  // size, block, context: data
  std::mt19937_64 random(1);
  unsigned found_ones = 0;
  for (int step = 0; step < 200'000; step++) {
    std::uint64_t const input = (random() & 0x3f) << 12 | (random() & 3) << 27 | (random() & 3) << 21 | (random() & 1) << 42;
    auto const context = static_cast<std::uint32_t>(1 + random() % 3);
    switch (random() % 8) {
      case 0: {
        std::size_t const n = random() % Iotlb::sizes.size();
        std::uint64_t const data = align_down(random(), 12);
        table.insert(n, input, place(data), Access::both(), context);
        model[{n, input >> Iotlb::sizes[n].block_lg2, context}] = data;
        break;
      }
      case 1: {
        if (random() % 16 != 0) break;
        Range const range{input, input | low_bits(static_cast<unsigned>(random() % 16))};
        table.forget(range);
        std::erase_if(model, [&](auto const& entry) {
          unsigned const lg2 = Iotlb::sizes[std::get<0>(entry.first)].block_lg2;
          return Range::block(std::get<1>(entry.first) << lg2, lg2).overlaps(range);
        });
        break;
      }
      default: {
        auto const found = table.find(input, reading, context);
        if (!found) break;
        found_ones++;
        auto const lg2 = static_cast<unsigned>(std::countr_one(found.rest));
        bool known = false;
        for (std::size_t n = 0; n < Iotlb::sizes.size(); n++) {
          auto const at = model.find({n, input >> lg2, context});
          known = known || (Iotlb::sizes[n].block_lg2 == lg2 && at != model.end() &&
                            found.data(input) == place(at->second + (input & found.rest)));
        }
        ASSERT_TRUE(known) << "step " << step;
      }
    }
  }
  EXPECT_GT(found_ones, 10'000u);
  table.clear();
  for (auto const& [key, data] : model)
    EXPECT_FALSE(table.find(std::get<1>(key) << Iotlb::sizes[std::get<0>(key)].block_lg2, reading, std::get<2>(key)));
}

TEST(Iotlb, AWorkingSetOfItsSizeFits) {
  auto table = Iotlb::create().value();
  constexpr std::uint64_t pages = 65536;
  for (std::uint64_t n = 0; n < pages; n++) table.insert(2, n << 12, place(n << 13), Access::reading(), 1);
  std::uint64_t kept = 0;
  for (std::uint64_t n = 0; n < pages; n++) kept += table.find(n << 12, reading, 1) ? 1 : 0;
  EXPECT_EQ(kept, pages);
}

}  // namespace
}  // namespace swiommu
