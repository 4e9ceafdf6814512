// Tables written by an enemy: random words, words that look right, tables that contain themselves, addresses anywhere. No
// walk crashes, hangs or reads outside the view, and walks and visits tell the same story.
#include "conformance/suite.h"

namespace swiommu::conformance {
namespace {

// 64 KiB of memory with nothing around it. It counts what is asked of it; a read outside would be found by ASan.
class BoundedView final : public MemoryView, public UserTableSource {
 public:
  static constexpr std::uint64_t base = 0x10'0000, size = 0x1'0000;

  explicit BoundedView(bool read_only) : read_only_(read_only), words_(size / 8) {}

  [[nodiscard]] Chunk locate(std::uint64_t address, Access access) const override {
    asked++;
    if (address < base || address - base >= size || (access.write && read_only_)) return {};
    // In pages, as a parent gives them out.
    std::uint64_t const offset = address - base;
    return {reinterpret_cast<std::byte*>(words_.data()) + offset, 4096 - offset % 4096};
  }

  Result<std::uint64_t> allocate(unsigned size_lg2) override {
    if (size_lg2 > 14) return out_of_memory();
    return base + align_down(given_++ * 0x3000 % size, size_lg2);
  }
  void release(std::uint64_t, unsigned) override {}

  void fill(FormatUnderTest const& format, Random& random, bool big_endian) {
    bool const pure_noise = one_in(random, 6);
    for (std::size_t i = 0; i < words_.size(); i++) {
      if (pure_noise) {
        words_[i] = random();
        continue;
      }
      std::uint64_t const word = entry(format, random);
      words_[i] = format.entry_size == 8 ? word : (word & low_bits(32)) | entry(format, random) << 32;
      if (big_endian) words_[i] = __builtin_bswap64(words_[i]);
    }
  }

  [[nodiscard]] std::vector<std::uint64_t> const& words() const { return words_; }

  mutable std::uint64_t asked = 0;

 private:
  static std::uint64_t entry(FormatUnderTest const& format, Random& random) {
    unsigned const level = static_cast<unsigned>(below(random, format.geometry.levels));
    std::uint64_t address = base + below(random, size / 4096) * 4096;
    if (one_in(random, 16)) address = random();
    if (one_in(random, 16)) address = base + size;
    return format.plausible_word(random, level, address & low_bits(format.output_bits) & ~low_bits(11));
  }

  bool read_only_;
  mutable std::vector<std::uint64_t> words_;
  std::uint64_t given_ = 0;
};

std::uint64_t some_input(FormatUnderTest const& format, Random& random) {
  if (one_in(random, 8)) return random();
  auto const inputs = format.inputs();
  Range const half = inputs[below(random, inputs.size())];
  std::uint64_t const offset = one_in(random, 2) ? random() : random() & random() & random();
  return half.start + (offset & (half.last - half.start));
}

// What the walk says of one input, the visit says too.
void expect_agreement(PageTable const& table, std::uint64_t input) {
  std::vector<Leaf> found;
  table.visit({input, input}, [&](Leaf const& leaf) { return found.push_back(leaf), true; });
  Walk const walk = table.walk(input, Access{}, Update::no);
  ASSERT_EQ(found.size(), walk.ok() ? 1u : 0u) << std::hex << input << " " << swiommu::name(walk.reason);
  if (!walk.ok()) {
    // The hole that the walk reports is empty, as far as one looks.
    if (walk.reason != Reason::not_mapped) return;
    Range const hole = Range::block(input, walk.size_lg2);
    table.visit(
        hole, [&](Leaf const& leaf) { return ADD_FAILURE() << std::hex << leaf.range.start << " is no hole", false; }, 2000);
    return;
  }
  EXPECT_EQ(found[0].range, (Range{input, input}));
  EXPECT_EQ(found[0].output, walk.output);
  EXPECT_EQ(found[0].attributes, walk.attributes);
  EXPECT_EQ(found[0].size_lg2, walk.size_lg2);
  EXPECT_EQ(found[0].level, walk.level);
}

void expect_bounded_walk(PageTable& table, BoundedView const& view, std::uint64_t input, Random& random) {
  std::uint64_t const before = view.asked;
  Access const access{one_in(random, 2), one_in(random, 2)};
  Walk const walk = table.walk(input, access, Update::no);
  EXPECT_LE(view.asked - before, table.shape().levels);
  std::vector<WalkStep> steps;
  auto const explained = table.explain(input, access, steps);
  ASSERT_TRUE(explained);
  EXPECT_EQ(explained->reason, walk.reason);
  EXPECT_EQ(explained->output, walk.output);
  EXPECT_LE(steps.size(), table.shape().levels);
  if (walk.reason != Reason::out_of_range) {
    EXPECT_EQ(steps.back().entry_address, walk.entry_address);
    EXPECT_EQ(steps.back().entry, walk.entry);
    EXPECT_EQ(steps.back().reached, walk.reason != Reason::table_unreachable);
  }
}

class HostileTables : public Conformance {
 protected:
  // Calls `body(format, view, table, random)` for many tables full of what an enemy may write.
  template <class Body>
  void for_each_hostile(unsigned count, Body body, std::uint64_t budget = PageTable::default_budget) {
    for (auto const& format : family().formats)
      for (unsigned n = 0; n < count; n++) {
        SCOPED_TRACE(format->name + ", SWIOMMU_SEED=" + std::to_string(seed() + n));
        Random random(seed() + n);
        bool const big_endian = one_in(random, 2);
        BoundedView view(one_in(random, 4));
        view.fill(*format, random, big_endian);
        std::uint64_t root = BoundedView::base + below(random, 8) * 4096;
        if (one_in(random, 10)) root = random();
        auto const table = format->open(view, big_endian, root, &view, budget);
        body(*format, view, *table, random);
        if (HasFailure()) return;
      }
  }
};

TEST_P(HostileTables, WalksAreShortAndVisitsAgreeWithThem) {
  for_each_hostile(effort(40), [](FormatUnderTest const& format, BoundedView& view, PageTable& table, Random& random) {
    for (unsigned n = 0; n < 200; n++) {
      std::uint64_t const input = some_input(format, random);
      expect_bounded_walk(table, view, input, random);
      expect_agreement(table, input & low_bits(64 - format.geometry.ignored_top_bits));  // a visit knows inputs without them
      if (testing::Test::HasFailure()) return;
    }
  });
}

TEST_P(HostileTables, VisitsKeepToTheirBudgetAndWalksFindWhatTheyFind) {
  for_each_hostile(effort(20), [](FormatUnderTest const& format, BoundedView& view, PageTable& table, Random& random) {
    for (Range const range : {Range::all(), Range{some_input(format, random), ~std::uint64_t{0}}}) {
      std::uint64_t const before = view.asked, budget = 1 + below(random, 4000);
      std::uint64_t checked = 0, previous = 0;
      std::vector<Leaf> leaves;
      table.visit(
          range,
          [&](Leaf const& leaf) {
            EXPECT_TRUE(checked == 0 || leaf.range.start > previous) << "not in order";
            EXPECT_LE(leaf.range.start, leaf.range.last);
            previous = leaf.range.last;
            if (checked++ % 16 == 0) leaves.push_back(leaf);
            return !testing::Test::HasFailure();
          },
          budget);
      EXPECT_LE(view.asked - before, budget);
      for (Leaf const& leaf : leaves) {
        for (std::uint64_t const input : {leaf.range.start, leaf.range.last}) {
          Walk const walk = table.walk(input, Access{}, Update::no);
          ASSERT_TRUE(walk.ok()) << std::hex << input;
          EXPECT_EQ(walk.output, leaf.output + (input - leaf.range.start));
          EXPECT_EQ(walk.attributes, leaf.attributes);
        }
      }
    }
  });
}

// Flags are written into the very words that the walk goes through, and small changes are made: whatever comes of it, it
// ends.
TEST_P(HostileTables, WalksThatWriteAndSmallChangesEnd) {
  for_each_hostile(effort(40), [](FormatUnderTest const& format, BoundedView& view, PageTable& table, Random& random) {
    for (unsigned n = 0; n < 100; n++) {
      std::uint64_t const input = some_input(format, random);
      std::uint64_t const before = view.asked;
      Walk const walk = table.walk(input, Access::both(), Update::yes);
      EXPECT_LE(view.asked - before, 64u * 2 * table.shape().levels);
      if (walk.reason == Reason::out_of_range) continue;
      Range const page = Range::block(input, format.smallest());
      if (!table.shape().contains(page)) continue;
      Gather gather;
      switch (below(random, 4)) {
        case 0: (void)table.map(page, 0, read_write, Existing::refuse, Cut::refuse, gather); break;
        case 1: (void)table.map(page, 0, read_write, Existing::replace, Cut::split, gather); break;
        case 2: (void)table.unmap(page, one_in(random, 2) ? Cut::split : Cut::refuse, gather); break;
        default:
          if (table.shape().tracks_dirty) (void)table.read_flags(Flag::dirty, page, Clear::yes, [](Range) {});
          break;
      }
      gather.finish();
    }
  });
}

// A change of everything, in tables that may contain themselves many times over.
TEST_P(HostileTables, LargeChangesKeepToTheirBudget) {
  constexpr std::uint64_t budget = 20000;
  for_each_hostile(
      effort(10),
      [](FormatUnderTest const& format, BoundedView& view, PageTable& table, Random& random) {
        // Looked at once to plan, twice to change; each word that is looked at may be written.
        constexpr std::uint64_t most = 2 * (3 * budget + (1 << 16));
        for (Range const half : format.inputs()) {
          for (unsigned n = 0; n < 4; n++) {
            std::uint64_t const before = view.asked;
            auto const words = view.words();
            Gather gather;
            int code = 0;
            auto const keep = [&](auto const& result) { code = result ? 0 : result.error().code; };
            Range const large = Range::block(half.start, format.sizes().back());
            switch (n) {
              case 0: keep(table.read_flags(Flag::dirty, half, Clear::no, [](Range) {})); break;
              case 1: keep(table.map(large, 0, read_write, Existing::refuse, Cut::refuse, gather)); break;
              case 2: keep(table.map(large, 0, read_write, Existing::replace, Cut::split, gather)); break;
              default: keep(table.unmap(half, one_in(random, 2) ? Cut::split : Cut::refuse, gather)); break;
            }
            gather.finish();
            EXPECT_LE(view.asked - before, most) << "change " << n;
            if (code == E2BIG) {
              EXPECT_EQ(view.words(), words) << "change " << n << " was refused, but something has changed";
            }
          }
        }
      },
      budget);
}

SWIOMMU_FOR_ALL_FORMATS(HostileTables);

}  // namespace
}  // namespace swiommu::conformance
