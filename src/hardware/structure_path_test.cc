#include "hardware/structure_path.h"

#include <gtest/gtest.h>

#include "swiommu/base/bits.h"
#include "word_memory.h"

namespace swiommu {
namespace {

// Memory whose owner writes while it is read: before the n-th load, `edits` of them, word 0 and word 1 get n.
class RestlessMemory : public MemoryView {
 public:
  explicit RestlessMemory(unsigned edits) : edits_(edits) {}
  Chunk locate(std::uint64_t address, Access) const override {
    if (loads_ < edits_) words_[0] = words_[1] = ++loads_;
    return {reinterpret_cast<std::byte*>(words_) + address, sizeof(words_) - address};
  }

 private:
  unsigned edits_;
  mutable unsigned loads_ = 0;
  mutable std::uint64_t words_[2] = {0, 0};
};

TEST(StructurePath, RemembersWhatWasRead) {
  WordMemory memory;
  memory.set(0x1000, {1, 2, 3});
  StructurePath path;
  path.register_value("REG", 7, "a register");
  auto const words = path.read<3>(memory, "entry", 0x1000);
  ASSERT_TRUE(words);
  EXPECT_EQ(*words, (std::array<std::uint64_t, 3>{1, 2, 3}));
  path.means("something");
  auto const steps = path.take();
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].what, "REG");
  EXPECT_EQ(steps[0].address, 0u);
  EXPECT_EQ(steps[0].words, std::vector<std::uint64_t>{7});
  EXPECT_EQ(steps[1].what, "entry");
  EXPECT_EQ(steps[1].address, 0x1000u);
  EXPECT_EQ(steps[1].words, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(steps[1].meaning, "something");
}

TEST(StructurePath, FaultsWhereOneWordOfAStructureIsNotThere) {
  WordMemory memory;
  memory.set(0x1ff8, 1);
  StructurePath path;
  EXPECT_TRUE(path.read<1>(memory, "entry", 0x1ff8));
  auto const words = path.read<2>(memory, "long entry", 0x1ff8);
  ASSERT_FALSE(words);
  EXPECT_EQ(words.error().about, "long entry at 0x1ff8 cannot be reached");
  EXPECT_EQ(words.error().entry_address, 0u);
  EXPECT_EQ(words.error().steps.size(), 2u);
}

TEST(StructurePath, SaysWhatIsWrongAndWhere) {
  WordMemory memory;
  memory.set(0x1000, {0xab, 2});
  StructurePath path;
  ASSERT_TRUE(path.read<2>(memory, "entry", 0x1000));
  auto const fault = path.fault("is not present (P = 0)");
  EXPECT_EQ(fault.error().about, "entry at 0x1000 is not present (P = 0)");
  EXPECT_EQ(fault.error().entry_address, 0x1000u);
  EXPECT_EQ(fault.error().entry, 0xabu);
  ASSERT_EQ(fault.error().steps.size(), 1u);
  EXPECT_EQ(fault.error().steps[0].meaning, "is not present (P = 0)");
}

TEST(StructurePath, NamesARegisterByItsValue) {
  StructurePath path;
  path.register_value("REG", 0x7, "");
  EXPECT_EQ(path.fault("is wrong").error().about, "REG = 0x7 is wrong");
}

TEST(StructurePath, ReadsAStructureThatWasRewrittenAgain) {
  RestlessMemory const memory(3);
  StructurePath path;
  auto const words = path.read<2>(memory, "entry", 0);
  ASSERT_TRUE(words);
  EXPECT_EQ((*words)[0], 3u);
  EXPECT_EQ((*words)[1], 3u);
}

TEST(StructurePath, GivesUpOnAStructureThatNeverRests) {
  RestlessMemory const memory(1000000);
  StructurePath path;
  auto const words = path.read<2>(memory, "entry", 0);
  ASSERT_FALSE(words);
  EXPECT_EQ(words.error().about, "entry at 0x0 keeps changing while it is read");
}

TEST(StructurePath, ListsBitsAsRanges) {
  EXPECT_EQ(bit_list(0), "");
  EXPECT_EQ(bit_list(1), "0");
  EXPECT_EQ(bit_list(bit_span(11, 8) | bit(3) | bit_span(63, 52)), "63:52, 11:8, 3");
  EXPECT_EQ(bit_list(~std::uint64_t{0}), "63:0");
}

}  // namespace
}  // namespace swiommu
