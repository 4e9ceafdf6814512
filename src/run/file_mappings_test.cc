#include "run/file_mappings.h"

#include <gtest/gtest.h>

namespace swiommu::run {
namespace {

constexpr std::uint64_t page = 4096;

class RunFileMappings : public testing::Test {
 protected:
  void add(std::uint64_t start, std::size_t length) {
    auto object = std::make_shared<int>();
    kept_ = object;
    mappings_.add(start, length, std::move(object));
  }
  [[nodiscard]] bool kept() const { return !kept_.expired(); }

  FileMappings mappings_;
  std::weak_ptr<int> kept_;
};

TEST_F(RunFileMappings, KeepTheObjectUntilTheLastPageIsUnmapped) {
  EXPECT_FALSE(mappings_.any());
  add(0x10000, 4 * page);
  EXPECT_TRUE(mappings_.any());
  mappings_.forget(0x10000 + page, 2 * page);
  EXPECT_TRUE(kept());
  mappings_.forget(0x10000, page);
  EXPECT_TRUE(kept());
  mappings_.forget(0x10000 + 2 * page, 1);  // not there any more
  EXPECT_TRUE(kept());
  mappings_.forget(0x10000 + 3 * page, 1);
  EXPECT_FALSE(kept());
}

TEST_F(RunFileMappings, AreMetWhereTheyAre) {
  EXPECT_FALSE(mappings_.overlaps(0, ~std::uint64_t{0}));
  add(0x10000, 2 * page);
  EXPECT_TRUE(mappings_.overlaps(0x10000 + page, 1));
  EXPECT_TRUE(mappings_.overlaps(0xf000, page + 1));
  EXPECT_TRUE(mappings_.overlaps(0, ~std::uint64_t{0}));
  EXPECT_FALSE(mappings_.overlaps(0xf000, page));
  EXPECT_FALSE(mappings_.overlaps(0x10000 + 2 * page, page));
  mappings_.forget(0x10000, 2 * page);
  EXPECT_FALSE(mappings_.overlaps(0x10000, page));
}

TEST_F(RunFileMappings, NeighboursAreNotTouched) {
  add(0x10000, page);
  mappings_.forget(0x10000 - page, page);
  mappings_.forget(0x10000 + page, 1 << 20);
  EXPECT_TRUE(kept());
  mappings_.forget(0, ~std::uint64_t{0} - page);
  EXPECT_FALSE(kept());
}

TEST_F(RunFileMappings, AnotherMappingInThePlaceReplacesTheFirst) {
  add(0x10000, 2 * page);
  auto const first = kept_;
  add(0x10000, page);
  EXPECT_FALSE(first.expired());
  add(0x10000 + page, page);
  EXPECT_TRUE(first.expired());
}

TEST_F(RunFileMappings, FollowTheProgramWhenItMovesThem) {
  add(0x10000, 2 * page);
  mappings_.move(0x10000, 2 * page, 0x80000, page);
  mappings_.forget(0x10000, 2 * page);
  EXPECT_TRUE(kept());
  mappings_.forget(0x80000, page);
  EXPECT_FALSE(kept());
}

}  // namespace
}  // namespace swiommu::run
