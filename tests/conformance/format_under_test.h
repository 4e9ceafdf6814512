// One format in one configuration, its type erased: what a test needs to know about it, and tables of it to work on.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "conformance/configurations.h"
#include "conformance/effort.h"
#include "conformance/plain_memory.h"
#include "conformance/recording_tables.h"
#include "page_table/geometry.h"

namespace swiommu::conformance {

enum class TablesIn {
  own_memory,        // OwnTables
  foreign_little,    // ForeignTables, words in little-endian order
  foreign_big,       // and in big-endian order
  recording_memory,  // RecordingTables
};

// A page table with everything that it lives in. The table is first to go.
struct TableUnderTest {
  std::shared_ptr<TableAllocator> allocator;  // of tables of our own
  std::unique_ptr<PlainMemory> memory;        // of foreign ones
  std::unique_ptr<Recorder> recorder;
  std::unique_ptr<PageTable> table;

  [[nodiscard]] std::uint64_t tables_in_use() const { return memory ? memory->tables_in_use : allocator->tables_in_use(); }
  // After so many more tables there are no more; ~0: there are always more.
  void fail_after(std::uint64_t successes) {
    if (memory)
      memory->successes_left = successes;
    else
      allocator->fail_after(successes);
  }
};

class FormatUnderTest {
 public:
  FormatUnderTest() = default;
  FormatUnderTest(FormatUnderTest const&) = delete;
  FormatUnderTest& operator=(FormatUnderTest const&) = delete;
  virtual ~FormatUnderTest() = default;

  std::string name;
  FormatConfiguration configuration;
  Expresses expresses;
  Geometry geometry;
  unsigned entry_size = 8;
  unsigned output_bits = 0;
  std::vector<std::uint64_t> leaf_sizes;  // by level; bit n: leaves of 2^n bytes
  bool is_library_format = true;          // PageTable::create knows it

  // An empty table.
  [[nodiscard]] virtual TableUnderTest make(TablesIn where) const = 0;
  // Whatever lies at `root`.
  [[nodiscard]] virtual std::unique_ptr<PageTable> open(MemoryView const& memory, bool big_endian, std::uint64_t root,
                                                        UserTableSource* source,
                                                        std::uint64_t budget = PageTable::default_budget) const = 0;
  // A word that looks like something: `address` is where a table or page may lie.
  [[nodiscard]] virtual std::uint64_t plausible_word(Random& random, unsigned level, std::uint64_t address) const = 0;

  // Expects of random words of that level that those which a walk takes without a question deserve it.
  virtual void expect_plain_words_to_be_plain(Random& random, unsigned level) const = 0;
  // Expects of random words that those which are accessed, or dirty, have the bit that such words have.
  virtual void expect_flags_to_have_their_bits(Random& random) const = 0;

  [[nodiscard]] std::uint64_t page_sizes() const {
    std::uint64_t all = 0;
    for (std::uint64_t const sizes : leaf_sizes) all |= sizes;
    return all;
  }
  [[nodiscard]] std::vector<unsigned> sizes() const {
    std::vector<unsigned> list;
    for (unsigned lg2 = 0; lg2 < 64; lg2++)
      if ((page_sizes() >> lg2 & 1) != 0) list.push_back(lg2);
    return list;
  }
  // Without those runs that differ from others in nothing but their size: AMD v1 has forty.
  [[nodiscard]] std::vector<unsigned> chosen_sizes() const {
    std::uint64_t chosen = 0;
    for (std::uint64_t const at_level : leaf_sizes) {
      if (at_level == 0) continue;
      unsigned const least = alignment_lg2(at_level), most = log2_floor(at_level);
      chosen |= bit(least) | bit(most) | (at_level & (bit(least + 1) | bit(least + 4)));
    }
    std::vector<unsigned> list = sizes();
    std::erase_if(list, [&](unsigned lg2) { return (chosen >> lg2 & 1) == 0; });
    return list;
  }
  [[nodiscard]] unsigned smallest() const { return sizes().front(); }

  // The inputs that the table takes: one range, or two around a hole.
  [[nodiscard]] std::vector<Range> inputs() const {
    unsigned const bits = geometry.input_bits();
    if (bits >= 64) return {Range::all()};
    switch (geometry.extension) {
      case Extension::zero: return {{0, low_bits(bits)}};
      case Extension::ones: return {{~low_bits(bits), ~std::uint64_t{0}}};
      case Extension::sign: return {{0, low_bits(bits - 1)}, {~low_bits(bits - 1), ~std::uint64_t{0}}};
    }
    return {};
  }
};

// The configurations of one format.
struct FormatFamily {
  std::string name;
  std::vector<std::unique_ptr<FormatUnderTest>> formats;
};

// All formats; made once.
std::vector<FormatFamily> const& format_families();

}  // namespace swiommu::conformance
