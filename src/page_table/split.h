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
    Mapper<F, M> const mapper(format_, memory_);
    for (unsigned l = place.level; !is_aligned(boundary, g.level[l].shift); l--) {
      needs.tables[l - 1]++;
      if (l > 1) SWIOMMU_TRY(mapper.plan(l - 1, std::nullopt, g.item(l, boundary), target, Existing::refuse, needs));
    }
    // A run whose items cannot stand alone (AMD v1: 1 TiB, because there are no 512 GiB leaves) becomes tables, all of it.
    unsigned const shift = g.level[place.level].shift;
    if (place.level > 0 && format_.leaf_size_lg2(place.entry, place.level, boundary) > shift &&
        (format_.leaf_sizes(place.level) & bit(shift)) == 0) {
      Range const entry = Range::block(boundary, format_.leaf_size_lg2(place.entry, place.level, boundary));
      for (std::uint64_t at = entry.start;; at += bit(shift)) {
        needs.tables[place.level - 1]++;
        if (place.level > 1)
          SWIOMMU_TRY(mapper.plan(place.level - 1, std::nullopt, g.item(place.level, at), target, Existing::refuse, needs));
        if (g.item(place.level, at).last == entry.last) break;
      }
    }
    return {};
  }

  void split(std::uint64_t boundary, TableStash<F, M>& stash, Gather& gather) {
    Geometry const& g = format_.geometry();
    while (straddling(boundary)) {
      auto const place = *find(boundary);
      unsigned const lg2 = format_.leaf_size_lg2(place.entry, place.level, boundary);
      unsigned const shift = g.level[place.level].shift;
      if (lg2 > shift && (format_.leaf_sizes(place.level) & bit_span(lg2 - 1, shift)) != 0)
        break_run(place, boundary);
      else
        break_items(place, Range::block(boundary, lg2), stash, gather);
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

  // A run becomes runs, or single items, of the next smaller size of its level, item by item: each item translates the same
  // before and after.
  void break_run(Place const& place, std::uint64_t boundary) {
    Geometry const& g = format_.geometry();
    unsigned const shift = g.level[place.level].shift;
    unsigned const lg2 = format_.leaf_size_lg2(place.entry, place.level, boundary);
    unsigned const smaller = log2_floor(format_.leaf_sizes(place.level) & bit_span(lg2 - 1, shift));
    auto const target = target_of(place.entry, place.level, boundary);
    std::uint64_t const first = place.index & ~(bit(lg2 - shift) - 1);
    Entry flags = place.entry;
    if constexpr (TracksDirty<F>)  // the flag of any item speaks for the whole run
      for (std::uint64_t n = 0; n < bit(lg2 - shift); n++)
        if (auto const e = memory_.template load<Entry>(place.table, first + n); e && format_.is_dirty(*e)) flags = *e;
    for (std::uint64_t n = 0; n < bit(lg2 - shift); n++) {
      Entry old = *memory_.template load<Entry>(place.table, first + n);
      Entry const word = format_.leaf(target.output + (n << shift), place.level, smaller, target.attributes);
      while (memory_.template exchange<Entry>(place.table, first + n, old,
                                              inherit(flags, inherit(old, word, place.level), place.level)) == Exchange::changed) {
      }
    }
  }

  // Large items become tables of smaller leaves, each filled before it is installed: one item, or all of a run.
  void break_items(Place const& place, Range entry, TableStash<F, M>& stash, Gather& gather) {
    Geometry const& g = format_.geometry();
    Mapper<F, M> mapper(format_, memory_);
    auto const target = target_of(place.entry, place.level, entry.start);
    for (Range item = g.item(place.level, entry.start);; item = g.item(place.level, item.last + 1)) {
      std::uint64_t const i = g.index(place.level, item.start);
      Entry old = *memory_.template load<Entry>(place.table, i);
      for (;;) {
        std::uint64_t const child = stash.take(place.level - 1);
        mapper.commit(place.level - 1, child, item, target, stash, gather,
                      [&](Entry word) { return inherit(old, word, place.level - 1); });
        if (memory_.template exchange<Entry>(place.table, i, old, format_.table(child, place.level)) == Exchange::done) break;
        stash.put_back(child, place.level - 1);  // a walker has set a flag in the meantime
      }
      if (item.last == entry.last) return;
    }
  }

  F const& format_;
  M& memory_;
  std::uint64_t root_;
};

}  // namespace swiommu
