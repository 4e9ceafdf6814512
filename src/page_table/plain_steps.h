// What a walk needs to know of each level to pass through words that say nothing but where the next table is.
#pragma once
#include <array>

#include "page_table/format.h"

namespace swiommu {

template <class Entry>
class PlainSteps {
 public:
  struct Step {
    WordPattern<Entry> plain;  // of level 0 none
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
      if (l != 0) step.plain = format.plain_table(l);
    }
  }
  Step const& operator[](unsigned level) const { return steps_[level]; }

 private:
  std::array<Step, maximum_levels> steps_{};
};

}  // namespace swiommu
