// Splitting: an entry becomes smaller ones that translate the same, so that a boundary runs between entries.
#pragma once
#include "page_table/map.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Splitter {
 public:
  using Entry = typename F::Entry;

  Splitter(F const& format, M& memory, std::uint64_t root) : format_(format), memory_(memory), root_(root) {}

  // The entry that holds both boundary - 1 and boundary, if there is one. Boundary 0 is between nothing.
  std::optional<Range> straddling(std::uint64_t boundary) const {
    if (boundary == 0 || !format_.geometry().contains(boundary)) return std::nullopt;
    auto const place = find(boundary);
    if (!place) return std::nullopt;
    Range const entry = Range::block(boundary, format_.leaf_size_lg2(place->entry, place->level, boundary));
    return entry.start == boundary ? std::nullopt : std::optional(entry);
  }

  // The tables that split(boundary) will take.
  Result<void> plan(std::uint64_t boundary, TableNeeds& needs) const {
    if (!straddling(boundary)) return {};
    Geometry const& g = format_.geometry();
    auto const place = *find(boundary);
    auto const target = target_of(place.entry, place.level, boundary);
    for (unsigned l = place.level; !is_aligned(boundary, g.level[l].shift); l--) {
      needs.tables[l - 1]++;
      if (l > 1)
        SWIOMMU_TRY((Mapper<F, M>(format_, memory_).plan(l - 1, std::nullopt, g.item(l, boundary), target, Existing::refuse, needs)));
    }
    return {};
  }

  void split(std::uint64_t boundary, TableStash<F, M>& stash, Gather& gather) {
    Geometry const& g = format_.geometry();
    while (straddling(boundary)) {
      auto const place = *find(boundary);
      if (format_.leaf_size_lg2(place.entry, place.level, boundary) > g.level[place.level].shift)
        break_run(place, boundary);
      else
        break_item(place, boundary, stash, gather);
    }
  }

 private:
  struct Place {
    std::uint64_t table;
    std::uint64_t index;
    Entry entry;
    unsigned level;
  };

  std::optional<Place> find(std::uint64_t input) const {
    Geometry const& g = format_.geometry();
    std::uint64_t table = root_;
    for (unsigned l = g.top();; l--) {
      std::uint64_t const i = g.index(l, input);
      auto const e = memory_.template load<Entry>(table, i);
      if (!e) return std::nullopt;
      EntryKind const kind = format_.kind(*e, l);
      if (kind == EntryKind::leaf) return Place{table, i, *e, l};
      if (kind != EntryKind::table) return std::nullopt;
      table = format_.table_address(*e, l);
    }
  }

  typename Mapper<F, M>::Target target_of(Entry e, unsigned level, std::uint64_t input) const {
    unsigned const lg2 = format_.leaf_size_lg2(e, level, input);
    return {Range::block(input, lg2).start, format_.leaf_address(e, level, input), format_.attributes(e, level)};
  }

  // Accessed and dirty flags of the old word, for the new one.
  Entry inherit(Entry old, Entry word, unsigned level) const {
    if constexpr (TracksAccessed<F>) {
      if (format_.tracks_accessed() && !format_.is_accessed(old)) return format_.without_accessed(word);
      if (format_.tracks_accessed()) word = format_.touched(word, level, false);
    }
    if constexpr (TracksDirty<F>)
      if (format_.tracks_dirty() && format_.is_dirty(old)) word = format_.touched(word, level, true);
    return word;
  }

  // A run becomes single items of its level, one by one: each item translates the same before and after.
  void break_run(Place const& place, std::uint64_t boundary) {
    Geometry const& g = format_.geometry();
    unsigned const shift = g.level[place.level].shift;
    auto const target = target_of(place.entry, place.level, boundary);
    std::uint64_t const count = bit(format_.leaf_size_lg2(place.entry, place.level, boundary) - shift);
    std::uint64_t const first = place.index & ~(count - 1);
    Entry flags = place.entry;
    if constexpr (TracksDirty<F>)  // the flag of any item speaks for the whole run
      for (std::uint64_t n = 0; n < count; n++)
        if (auto const e = memory_.template load<Entry>(place.table, first + n); e && format_.is_dirty(*e)) flags = *e;
    for (std::uint64_t n = 0; n < count; n++) {
      Entry old = *memory_.template load<Entry>(place.table, first + n);
      Entry const single = format_.leaf(target.output + (n << shift), place.level, shift, target.attributes);
      while (memory_.template exchange<Entry>(place.table, first + n, old,
                                              inherit(flags, inherit(old, single, place.level), place.level)) == Exchange::changed) {
      }
    }
  }

  // A single large leaf becomes a table of smaller ones, filled before it is installed.
  void break_item(Place const& place, std::uint64_t boundary, TableStash<F, M>& stash, Gather& gather) {
    Mapper<F, M> mapper(format_, memory_);
    auto const target = target_of(place.entry, place.level, boundary);
    Entry old = place.entry;
    for (;;) {
      std::uint64_t const child = stash.take(place.level - 1);
      mapper.commit(place.level - 1, child, format_.geometry().item(place.level, boundary), target, stash, gather,
                    [&](Entry word) { return inherit(old, word, place.level - 1); });
      if (memory_.template exchange<Entry>(place.table, place.index, old, format_.table(child, place.level)) == Exchange::done) return;
      stash.put_back(child, place.level - 1);  // a walker has set a flag in the meantime
    }
  }

  F const& format_;
  M& memory_;
  std::uint64_t root_;
};

}  // namespace swiommu
