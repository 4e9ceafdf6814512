// FormatUnderTest for a format type.
#pragma once
#include <gtest/gtest.h>

#include "conformance/format_under_test.h"
#include "page_table/foreign_tables.h"
#include "page_table/own_tables.h"
#include "page_table/typed_page_table.h"

namespace swiommu::conformance {

// Gives its tables back when it goes, like the tables that PageTable::create makes.
template <class F, class M>
class OwningTable final : public TypedPageTable<F, M> {
 public:
  using TypedPageTable<F, M>::TypedPageTable;
  ~OwningTable() override {
    Gather gather;
    Mapper<F, M>(this->format(), this->memory()).retire(this->root(), this->format().geometry().top(), gather);
    gather.finish();
  }
};

template <PageTableFormat F>
class FormatOf final : public FormatUnderTest {
  using Entry = typename F::Entry;

 public:
  FormatOf(std::string_view family, Expresses const& what, FormatConfiguration const& c) : format_(c) {
    configuration = c;
    expresses = what;
    geometry = format_.geometry();
    entry_size = sizeof(typename F::Entry);
    output_bits = format_.output_bits();
    for (unsigned l = 0; l < geometry.levels; l++) leaf_sizes.push_back(format_.leaf_sizes(l));
    name = std::string(family) + " levels=" + std::to_string(geometry.levels) +
           " input=" + std::to_string(geometry.input_bits()) + " page=" + std::to_string(smallest()) +
           (c.accessed_updates ? " accessed" : "") + (c.dirty_updates ? " dirty" : "") +
           (geometry.extension == Extension::zero ? "" : " extended") + (c.svnapot ? "" : " no-svnapot") +
           (c.page_sizes ? " sizes=" + std::to_string(c.page_sizes) : "");
  }

  [[nodiscard]] TableUnderTest make(TablesIn where) const override {
    TableUnderTest made;
    switch (where) {
      case TablesIn::own_memory:
        made.allocator = new_allocator();
        make_table(made, OwnTables(made.allocator));
        break;
      case TablesIn::recording_memory:
        made.allocator = new_allocator();
        made.recorder = std::make_unique<Recorder>();
        make_table(made, RecordingTables(made.allocator, *made.recorder));
        break;
      case TablesIn::foreign_little:
      case TablesIn::foreign_big:
        made.memory = std::make_unique<PlainMemory>();
        make_table(made, ForeignTables(*made.memory, where == TablesIn::foreign_big, made.memory.get()));
        break;
    }
    return made;
  }

  [[nodiscard]] std::unique_ptr<PageTable> open(MemoryView const& memory, bool big_endian, std::uint64_t root,
                                                UserTableSource* source, std::uint64_t budget) const override {
    return std::make_unique<TypedPageTable<F, ForeignTables>>(format_, ForeignTables(memory, big_endian, source, budget), root);
  }

  [[nodiscard]] std::uint64_t plausible_word(Random& random, unsigned level, std::uint64_t address) const override {
    std::uint64_t word = random();
    switch (below(random, 8)) {
      case 0: return word;
      case 1: word = format_.empty(level); break;
      case 2:
      case 3: word = plausible_leaf(random, level, address); break;
      default:
        if (level > 0) word = format_.table(address, level);
        break;
    }
    while (one_in(random, 3)) word ^= bit(static_cast<unsigned>(below(random, 64)));
    return word;
  }

  void expect_plain_words_to_be_plain(Random& random, unsigned level) const override {
    FormatConfiguration narrow = configuration;
    narrow.output_bits = 40;
    FormatConfiguration no_normal_memory = configuration;
    no_normal_memory.memory_attributes = 0x4444444444444444;  // Arm MAIR: noncacheable, all of it
    for (F const& f : {format_, F(narrow), F(no_normal_memory)}) {
      expect_plain_leaves_to_be_plain(f, random, level);
      if (level != 0) expect_plain_words_to_be_plain(f, random, level);
    }
  }

  void expect_flags_to_have_their_bits(Random& random) const override {
    for (unsigned n = 0; n < effort(1000); n++) {
      auto const e = static_cast<Entry>(random());
      if constexpr (TracksAccessed<F>) {
        EXPECT_TRUE(!format_.is_accessed(e) || (e & format_.accessed_bit()) != 0) << std::hex << e;
      }
      if constexpr (TracksDirty<F>) {
        EXPECT_TRUE(!format_.is_dirty(e) || (e & format_.dirty_bit()) != 0) << std::hex << e;
      }
    }
  }

 private:
  static std::shared_ptr<TableAllocator> new_allocator() { return *TableAllocator::create(std::uint64_t{4} << 30); }

  template <class M>
  void make_table(TableUnderTest& made, M memory) const {
    unsigned const top = geometry.top();
    std::uint64_t const root = *memory.template allocate<typename F::Entry>(table_size_lg2(format_, top), format_.empty(top));
    made.table = std::make_unique<OwningTable<F, M>>(format_, std::move(memory), root);
  }

  static void expect_plain_words_to_be_plain(F const& f, Random& random, unsigned level) {
    WordPattern const pattern = f.plain_table(level);
    if ((pattern.value & ~pattern.mask) != 0) {
      EXPECT_TRUE((std::is_same_v<F, S390Zpci>) && level == 1) << "no word is plain";
      return;
    }
    for (unsigned n = 0; n < effort(1000); n++) {
      auto const e = static_cast<Entry>((random() & ~pattern.mask) | pattern.value);
      SCOPED_TRACE(testing::Message() << std::hex << "word " << e << ", level " << level << ", outputs " << f.output_bits());
      expect_plain(f, level, e);
      std::uint64_t const address = align_down(random() & low_bits(f.output_bits()), table_size_lg2(f, level - 1));
      Entry written = f.table(address, level);
      if constexpr (UpdatesEntries<F>) written = f.touched(written, level, false);
      EXPECT_TRUE(pattern.matches(written)) << "what the library writes is plain once it is used";
      if (testing::Test::HasFailure()) return;
    }
  }
  static void expect_plain_leaves_to_be_plain(F const& f, Random& random, unsigned level) {
    unsigned const lg2 = f.geometry().level[level].shift;
    for (bool const writes : {false, true}) {
      WordPattern const pattern = PlainSteps<Entry>(f).leaf(level, writes);
      Attributes const normal{.access = Access::both()};
      bool const is_written = (f.leaf_sizes(level) >> lg2 & 1) != 0;
      bool const is_read_back = is_written && f.attributes(f.leaf(0, level, lg2, normal), level).memory == normal.memory;
      ASSERT_EQ(is_read_back, (pattern.value & ~pattern.mask) == 0);
      if (!is_read_back) return;
      for (unsigned n = 0; n < effort(1000); n++) {
        auto const e = static_cast<Entry>((random() & ~pattern.mask) | pattern.value);
        std::uint64_t const input = random();
        SCOPED_TRACE(testing::Message() << std::hex << "word " << e << ", input " << input << ", outputs " << f.output_bits());
        EXPECT_EQ(f.kind(e, level), EntryKind::leaf);
        EXPECT_EQ(f.leaf_size_lg2(e, level, input), lg2);
        EXPECT_EQ(f.attributes(e, level), Attributes{.access = Access::both()});
        if constexpr (UpdatesEntries<F>) {
          EXPECT_EQ(f.touched(e, level, writes), e);
        }
        std::uint64_t const address = align_down(random() & low_bits(f.output_bits()), lg2);
        Entry written = f.leaf(address, level, lg2, {.access = Access::both()});
        if constexpr (UpdatesEntries<F>) written = f.touched(written, level, writes);
        EXPECT_TRUE(pattern.matches(written)) << "what the library writes is plain once it is used";
        if (testing::Test::HasFailure()) return;
      }
    }
  }
  static void expect_plain(F const& f, unsigned level, Entry e) {
    EXPECT_EQ(f.kind(e, level), EntryKind::table);
    if constexpr (CombinesRights<F>) {
      EXPECT_EQ(f.table_rights(e, level), Access::both());
    }
    if constexpr (SkipsLevels<F>) {
      EXPECT_EQ(f.next_level(e, level), level - 1);
    }
    if constexpr (HasPartialTables<F>) {
      Range const all{0, low_bits(f.geometry().level[level - 1].index_bits)};
      EXPECT_EQ(f.held_items(e, level), all);
    }
    if constexpr (UpdatesEntries<F>) {
      EXPECT_EQ(f.touched(e, level, true), e);
    }
  }

  std::uint64_t plausible_leaf(Random& random, unsigned level, std::uint64_t address) const {
    std::uint64_t const sizes = leaf_sizes[level];
    if (sizes == 0) return random();
    unsigned const lg2 = one_in(random, 2) ? log2_floor(sizes) : alignment_lg2(sizes);
    Attributes const attributes{.access = {one_in(random, 2), one_in(random, 2)}};
    return format_.leaf(one_in(random, 2) ? align_down(address, lg2) : address, level, lg2, attributes);
  }

  F format_;
};

}  // namespace swiommu::conformance
