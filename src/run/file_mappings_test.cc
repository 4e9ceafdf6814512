#include "run/file_mappings.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <bit>

#include "swiommu/memory/safe_copy.h"

namespace swiommu::run {
namespace {

constexpr std::uint64_t page = 4096;

class RunFileMappings : public testing::Test {
 protected:
  void add(std::uint64_t start, std::size_t length) {
    auto object = std::make_shared<int>();
    kept_ = object;
    mappings_.add(start, length, {.kept = std::move(object)});
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
  mappings_.move(mappings_.take(0x10000, 2 * page), 0x10000, 0x80000, page);
  mappings_.forget(0x10000, 2 * page);
  EXPECT_TRUE(kept());
  mappings_.forget(0x80000, page);
  EXPECT_FALSE(kept());
}

// Registers that act: real pages, whose rights the kernel keeps.
class RunActingMappings : public testing::Test {
 protected:
  RunActingMappings() {
    mappings_.add(start(), pages * page, {acting_, object(), PROT_READ | PROT_WRITE, 0x8000});
    ::mprotect(at_, pages * page, PROT_NONE);
  }
  ~RunActingMappings() override { ::munmap(at_, pages * page); }
  [[nodiscard]] std::uint64_t start(unsigned number = 0) const { return std::bit_cast<std::uint64_t>(at_) + number * page; }
  [[nodiscard]] ActingRegisters* object() const { return std::bit_cast<ActingRegisters*>(acting_.get()); }  // never called
  [[nodiscard]] bool may_write(unsigned number) const {
    std::byte const byte{1};
    return copy_to_doubtful(std::bit_cast<void*>(start(number)), std::span(&byte, 1));
  }

  static constexpr unsigned pages = 4;
  void* const at_ = ::mmap(nullptr, pages* page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::shared_ptr<int> acting_ = std::make_shared<int>();
  FileMappings mappings_;
};

TEST_F(RunActingMappings, AreFoundByEveryAddress) {
  auto const found = mappings_.acting_at(start(1) + 8);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->acting, object());
  EXPECT_EQ(found->offset, 0x8000 + page + 8);
  EXPECT_FALSE(mappings_.acting_at(start() - 1));
  EXPECT_FALSE(mappings_.acting_at(start(pages)));
}

TEST_F(RunActingMappings, PartsKeepTheirPlaceInTheFile) {
  mappings_.forget(start(1), page);
  EXPECT_FALSE(mappings_.acting_at(start(1)));
  EXPECT_EQ(mappings_.acting_at(start(2))->offset, 0x8000 + 2 * page);
  mappings_.move(mappings_.take(start(2), 2 * page), start(2), 0x1000000, 2 * page);
  EXPECT_EQ(mappings_.acting_at(0x1000000 + page)->offset, 0x8000 + 3 * page);
}

TEST_F(RunActingMappings, RightsAreWrittenDownAndNotGiven) {
  ::mprotect(at_, 2 * page, PROT_READ);
  mappings_.protect(start(), 2 * page, PROT_READ, false);
  EXPECT_EQ(mappings_.acting_at(start(1))->protection, PROT_READ);
  EXPECT_EQ(mappings_.acting_at(start(2))->protection, PROT_READ | PROT_WRITE);
  for (unsigned number = 0; number < pages; number++) EXPECT_FALSE(may_write(number)) << number;
}

TEST_F(RunActingMappings, KeepTheirRightsWhereChangingThemFailed) {
  ::mprotect(at_, page, PROT_READ | PROT_WRITE);  // as far as the kernel came
  mappings_.protect(start(), pages * page, PROT_READ, true);
  EXPECT_EQ(mappings_.acting_at(start())->protection, PROT_READ | PROT_WRITE);
  EXPECT_FALSE(may_write(0));
}

TEST_F(RunActingMappings, AreBackIfTheyWereNotUnmapped) {
  auto taken = mappings_.take(start(1), 2 * page);
  EXPECT_FALSE(mappings_.acting_at(start(2)));
  mappings_.put_back(std::move(taken));
  EXPECT_EQ(mappings_.acting_at(start(2))->offset, 0x8000 + 2 * page);
}

TEST_F(RunActingMappings, AreInTwoPlacesAfterACopy) {
  mappings_.move(mappings_.copy(start(1)), start(1), 0x1000000, 2 * page);
  EXPECT_EQ(mappings_.acting_at(0x1000000 + page)->offset, 0x8000 + 2 * page);
  EXPECT_EQ(mappings_.acting_at(start(1))->offset, 0x8000 + page);
  EXPECT_TRUE(mappings_.copy(0x1000000 + 2 * page).empty());
}

TEST_F(RunActingMappings, AreGoneWhereOtherMemoryWasMovedTo) {
  mappings_.move(mappings_.take(0x1000000, page), 0x1000000, start(1), page);
  EXPECT_FALSE(mappings_.acting_at(start(1)));
  EXPECT_TRUE(mappings_.acting_at(start(2)));
}

TEST_F(RunActingMappings, AreOpenedWithTheRightsOfTheProgram) {
  mappings_.protect(start(3), page, PROT_READ, false);
  mappings_.open(start(1));
  for (unsigned number = 0; number < 3; number++) EXPECT_TRUE(may_write(number)) << number;
  EXPECT_FALSE(mappings_.acting_at(start()));
  EXPECT_EQ(mappings_.opened_rights(start()), PROT_READ | PROT_WRITE);
  EXPECT_TRUE(mappings_.acting_at(start(3)));
  EXPECT_EQ(mappings_.opened_rights(start(3)), 0);
  EXPECT_TRUE(mappings_.overlaps(start(), page));
}

}  // namespace
}  // namespace swiommu::run
