// What a walk needs to know of each level to pass through words that say nothing but where the next table is, and to end at one
// that says nothing but where a page is.
#pragma once
#include <array>

#include "page_table/format.h"

namespace swiommu {

template <class Entry>
class PlainSteps {
 public:
  struct Step {
    WordPattern<Entry> plain;  // of level 0 none
    std::uint64_t inside = 0;  // the bits of an input that an item leaves as they are
    std::uint32_t last_index = 0;
    std::uint8_t shift = 0;

    [[nodiscard]] std::uint64_t index(std::uint64_t input) const { return input >> shift & last_index; }
    [[nodiscard]] bool passes(Entry e) const { return plain.matches(e); }
  };

  template <PageTableFormat F>
  explicit PlainSteps(F const& format) {
    Geometry const& g = format.geometry();
    for (unsigned l = 0; l < g.levels; l++) {
      Step& step = steps_[l];
      step.last_index = static_cast<std::uint32_t>(low_bits(g.level[l].index_bits));
      step.shift = g.level[l].shift;
      step.inside = low_bits(step.shift);
      if (l != 0) step.plain = format.plain_table(l);
      for (bool const writes : {false, true}) leaves_[writes ? 1 : 0][l] = plain_leaf(format, l, writes);
    }
    top_ = g.top();
  }
  Step const& operator[](unsigned level) const { return steps_[level]; }
  [[nodiscard]] unsigned top() const { return top_; }

  // Words that are what the format makes of one item that is a page with all rights, in normal memory, and in which an access
  // that writes, or one that does not, has no flag to set.
  [[nodiscard]] WordPattern<Entry> const& leaf(unsigned level, bool writes) const { return leaves_[writes ? 1 : 0][level]; }

 private:
  // They differ in nothing but their address, and, for an access that does not write, in the dirty flag. None where what is
  // written means something else: Arm memory attributes may name no normal memory.
  template <PageTableFormat F>
  static WordPattern<Entry> plain_leaf(F const& format, unsigned level, bool writes) {
    unsigned const lg2 = format.geometry().level[level].shift;
    if ((format.leaf_sizes(level) >> lg2 & 1) == 0) return {};
    auto const word = [&](std::uint64_t address, bool written) {
      Entry e = format.leaf(address, level, lg2, {.access = Access::both()});
      if constexpr (UpdatesEntries<F>) e = format.touched(e, level, written);
      return e;
    };
    Entry const lowest = word(0, writes);
    if (format.kind(lowest, level) != EntryKind::leaf || format.attributes(lowest, level) != Attributes{.access = Access::both()})
      return {};
    Entry const highest = word(low_bits(format.output_bits()) & ~low_bits(lg2), true);
    Entry const mask = static_cast<Entry>(~(lowest ^ highest));
    return {.mask = mask, .value = static_cast<Entry>(lowest & mask)};
  }

  std::array<Step, maximum_levels> steps_{};
  unsigned top_ = 0;
  std::array<std::array<WordPattern<Entry>, maximum_levels>, 2> leaves_{};  // for reading, for writing
};

}  // namespace swiommu
