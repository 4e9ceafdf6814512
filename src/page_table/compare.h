// Comparing: is a range mapped as it should be?
#pragma once
#include "page_table/map.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Comparison {
 public:
  using Entry = typename F::Entry;
  using Target = typename Mapper<F, M>::Target;

  Comparison(F const& format, M& memory, Target const& target)
      : format_(format), mapper_(format, memory), memory_(memory), target_(target) {}

  // The first input of `range` that does not lead where the target says, or not with its rights and coherence; nothing if all do.
  // Words as map() writes them are compared in rows, others by what they mean.
  std::optional<std::uint64_t> first_difference(TablePlace place, Range range, Access rights = Access::both()) const {
    Geometry const& g = format_.geometry();
    unsigned const level = place.level;
    for (std::uint64_t at = range.start;;) {
      std::uint64_t last = 0;
      auto const leaves =
          level == 0 && rights == Access::both() ? mapper_.leaves_from(level, at, range.last, target_) : std::nullopt;
      if (leaves && surely_equal<Entry>(memory_, place.table, g.index(level, at), g.index(level, leaves->last),
                                        mapper_.words(level, at, leaves->size_lg2, target_))) {
        last = leaves->last;
      } else {
        last = std::min(g.item(level, at).last, range.last);
        auto const e = memory_.template load<Entry>(place.table, g.index(level, at));
        EntryKind const kind = e ? format_.kind(*e, level) : EntryKind::empty;
        if (kind == EntryKind::table) {
          if (!leads_on(format_, *e, level, {at, last})) return at;
          Access below = rights;
          if constexpr (CombinesRights<F>) below = below & format_.table_rights(*e, level);
          TablePlace const next{child_level(format_, *e, level), format_.table_address(*e, level)};
          if (auto const found = first_difference(next, {at, last}, below)) return found;
        } else if (kind != EntryKind::leaf || !is_as_it_should_be(*e, level, at, rights)) {
          return at;
        }
      }
      if (last == range.last) return std::nullopt;
      at = last + 1;
    }
  }

 private:
  bool is_as_it_should_be(Entry e, unsigned level, std::uint64_t input, Access rights) const {
    Attributes const attributes = format_.attributes(e, level);
    std::uint64_t const within = input & low_bits(format_.leaf_size_lg2(e, level, input));
    return (format_.leaf_address(e, level, input) | within) == target_.at(input) &&
           (attributes.access & rights) == target_.attributes.access && attributes.coherent == target_.attributes.coherent;
  }

  F const& format_;
  Mapper<F, M> mapper_;
  M& memory_;
  Target const& target_;
};

}  // namespace swiommu
