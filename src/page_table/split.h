// Splitting: an entry becomes smaller ones that translate the same, so that a range that is to be changed ends between entries.
#pragma once
#include "page_table/map.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Splitter {
 public:
  using Entry = typename F::Entry;

  // One end of a range: `boundary` is the first input behind it, or its first one; `inside` the input of the range beside that.
  struct End {
    std::uint64_t boundary;
    std::uint64_t inside;
  };
  static std::array<End, 2> ends(Range range) { return {End{range.start, range.start}, End{range.last + 1, range.last}}; }

  // Ranges to be split at their ends lie under the table `top`.
  Splitter(F const& format, M& memory, TablePlace top) : format_(format), memory_(memory), top_(top) {}

  // The entry that is inside the range and outside, if there is one. There is nothing on the other side of boundary 0.
  std::optional<Range> straddling(End end) const {
    auto const place = find(end.inside);
    if (!place) return std::nullopt;
    Range const entry = Range::block(end.inside, format_.leaf_size_lg2(place->entry, place->level, end.inside));
    bool const crosses = entry.start < end.boundary && end.boundary <= entry.last;
    return crosses ? std::optional(entry) : std::nullopt;
  }

  [[nodiscard]] bool cuts(Range range) const {
    auto const [lower, upper] = ends(range);
    return straddling(lower) || straddling(upper);
  }

  // The tables that split(end) will take.
  Result<void> plan(End end, TableNeeds& needs) const {
    auto const entry = straddling(end);
    if (!entry) return {};
    Geometry const& g = format_.geometry();
    std::uint64_t const boundary = end.boundary;
    auto const place = *find(end.inside);
    auto const target = target_of(place.entry, place.level, end.inside);
    Mapper<F, M> const mapper(format_, memory_);
    auto const fill = [&](unsigned level, std::uint64_t start, std::uint64_t last) -> Result<void> {
      if (level == 0 || start > last) return {};
      return mapper.plan(level, std::nullopt, {start, last}, target, Existing::refuse, needs);
    };
    // At each level: what lies before the boundary, what lies behind it, and a table for the item that it runs through.
    Range range = *entry;
    for (unsigned l = place.level;; l--) {
      if (is_aligned(boundary, g.level[l].shift)) {
        SWIOMMU_TRY(fill(l, range.start, boundary - 1));
        return fill(l, boundary, range.last);
      }
      Range const item = g.item(l, boundary);
      if (item.start != range.start) SWIOMMU_TRY(fill(l, range.start, item.start - 1));
      if (item.last != range.last) SWIOMMU_TRY(fill(l, item.last + 1, range.last));
      needs.tables[l - 1]++;
      range = item;
    }
  }

  // False if the owner of a foreign table has taken memory away, or changed the table, since the plan.
  bool split(End end, TableStash<F, M>& stash, Gather& gather) {
    Geometry const& g = format_.geometry();
    // Each time round the entry at the boundary is smaller, unless an owner puts it back.
    for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
      auto const place = find(end.inside);
      auto const entry = straddling(end);
      if (!place || !entry) return true;
      unsigned const lg2 = format_.leaf_size_lg2(place->entry, place->level, end.inside);
      unsigned const shift = g.level[place->level].shift;
      if (place->level == 0 && lg2 <= shift) return false;
      bool const has_smaller_runs = lg2 > shift && (format_.leaf_sizes(place->level) & bit_span(lg2 - 1, shift)) != 0;
      Range const broken = Range::block(end.inside, lg2);
      if (!(has_smaller_runs ? break_run(*place, broken, end.inside) : break_items(*place, broken, stash, gather))) return false;
    }
    return false;
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
    std::uint64_t table = top_.table;
    for (unsigned l = top_.level;;) {
      std::uint64_t const i = g.index(l, input);
      auto const e = memory_.template load<Entry>(table, i);
      if (!e) return std::nullopt;
      EntryKind const kind = format_.kind(*e, l);
      if (kind == EntryKind::leaf) return Place{table, i, *e, l};
      if (kind != EntryKind::table || !leads_on(format_, *e, l, {input, input})) return std::nullopt;
      table = format_.table_address(*e, l);
      l = child_level(format_, *e, l);
    }
  }

  typename Mapper<F, M>::Target target_of(Entry e, unsigned level, std::uint64_t input) const {
    unsigned const lg2 = format_.leaf_size_lg2(e, level, input);
    return {Range::block(input, lg2).start, format_.leaf_address(e, level, input), format_.attributes(e, level)};
  }

  struct Flags {
    bool accessed = false, dirty = false;
    constexpr bool operator==(Flags const&) const = default;
    friend constexpr Flags operator|(Flags a, Flags b) { return {a.accessed || b.accessed, a.dirty || b.dirty}; }
  };

  Flags flags_of(Entry e) const {
    Flags flags;
    if constexpr (TracksAccessed<F>) flags.accessed = format_.tracks_accessed() && format_.is_accessed(e);
    if constexpr (TracksDirty<F>) flags.dirty = format_.tracks_dirty() && format_.is_dirty(e);
    return flags;
  }

  // The flag of any item speaks for its whole run.
  Flags flags_of(std::uint64_t table, std::uint64_t first, std::uint64_t count) const {
    Flags all;
    if constexpr (TracksAccessed<F> || TracksDirty<F>) {
      for (std::uint64_t n = 0; n < count; n++) {
        auto const e = memory_.template load<Entry>(table, first + n);
        if (e) all = all | flags_of(*e);
      }
    }
    return all;
  }

  Entry marked(Entry word, unsigned level, Flags flags) const {
    if constexpr (UpdatesEntries<F>) {
      if (flags.dirty) word = format_.touched(word, level, true);
      if (flags.accessed) word = format_.touched(word, level, false);
    }
    return word;
  }

  // A new word of `level` with exactly these flags.
  Entry with_flags(Entry word, unsigned level, Flags flags) const {
    word = marked(word, level, flags);
    if constexpr (TracksAccessed<F>)
      if (format_.tracks_accessed() && !flags.accessed) word = format_.without_accessed(word);
    return word;
  }

  // While a run is rewritten item by item, a walker may still mark an item that has its old word, and then use all of the run
  // without marking anything else. So whatever was found in the meantime is given to each leaf that the run has become.
  bool mark(unsigned level, std::uint64_t table, Range range, Flags flags) {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      std::uint64_t const i = g.index(level, at), last = std::min(g.item(level, at).last, range.last);
      auto const e = memory_.template load<Entry>(table, i);
      EntryKind const kind = e ? format_.kind(*e, level) : EntryKind::empty;
      if (kind == EntryKind::table) {
        if (!mark(child_level(format_, *e, level), format_.table_address(*e, level), {at, last}, flags)) return false;
      } else if (kind != EntryKind::leaf || !swap(table, i, level, [&](Entry old) { return marked(old, level, flags); })) {
        return false;
      }
      if (last == range.last) return true;
      at = last + 1;
    }
  }

  // A run becomes runs, or single items, of the next smaller size of its level, item by item: each item translates the same
  // before and after.
  bool break_run(Place const& place, Range entry, std::uint64_t input) {
    Geometry const& g = format_.geometry();
    unsigned const shift = g.level[place.level].shift;
    unsigned const lg2 = format_.leaf_size_lg2(place.entry, place.level, input);
    unsigned const smaller = log2_floor(format_.leaf_sizes(place.level) & bit_span(lg2 - 1, shift));
    auto const target = target_of(place.entry, place.level, input);
    std::uint64_t const count = bit(lg2 - shift), first = place.index & ~(count - 1);
    Flags const before = flags_of(place.table, first, count);
    Flags flags = before;
    for (std::uint64_t n = 0; n < count; n++) {
      Entry const word = format_.leaf(target.output + (n << shift), place.level, smaller, target.attributes);
      Entry replaced{};
      if (!swap(place.table, first + n, place.level, [&](Entry old) {
            replaced = old;
            return with_flags(word, place.level, flags | flags_of(old));
          }))
        return false;
      flags = flags | flags_of(replaced);
    }
    return flags == before || mark(place.level, place.table, entry, flags);
  }

  // Large items become tables of smaller leaves, each filled before it is installed: one item, or all of a run.
  bool break_items(Place const& place, Range entry, TableStash<F, M>& stash, Gather& gather) {
    Geometry const& g = format_.geometry();
    unsigned const level = place.level;
    Mapper<F, M> mapper(format_, memory_);
    auto const target = target_of(place.entry, level, entry.start);
    std::uint64_t const count = shift_right(entry.last - entry.start, g.level[level].shift) + 1;
    Flags const before = flags_of(place.table, g.index(level, entry.start), count);
    Flags flags = before;
    for (Range item = g.item(level, entry.start);; item = g.item(level, item.last + 1)) {
      auto const child = stash.take(level - 1, level == 1);
      if (!child) return false;
      Entry filled_for{};
      bool is_filled = false;
      bool const installed = swap(place.table, g.index(level, item.start), level, [&](Entry old) {
        // Again only if a walker has set a flag in the meantime.
        if (!is_filled || old != filled_for)
          mapper.commit(level - 1, *child, item, target, stash, gather,
                        [&](Entry word) { return with_flags(word, level - 1, flags | flags_of(old)); });
        is_filled = true;
        filled_for = old;
        return format_.table(*child, level);
      });
      if (!installed) {
        stash.put_back(*child, level - 1);
        return false;
      }
      if (!mapper.is_complete()) return false;
      flags = flags | flags_of(filled_for);
      if (item.last == entry.last) return flags == before || count == 1 || mark(level, place.table, entry, flags);
    }
  }

  // Replaces the leaf at this place by what `make` makes of it. False if it can no longer be.
  template <class Make>
  bool swap(std::uint64_t table, std::uint64_t index, unsigned level, Make const& make) {
    auto old = memory_.template load<Entry>(table, index);
    for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
      if (!old || format_.kind(*old, level) != EntryKind::leaf) return false;
      Exchange const outcome = memory_.template exchange<Entry>(table, index, *old, make(*old));
      if (outcome != Exchange::changed) return outcome == Exchange::done;
    }
    return false;
  }

  // Walkers set each flag once; who changes the words more often than this is an owner who means to keep us here.
  static constexpr unsigned maximum_attempts = 128;

  F const& format_;
  M& memory_;
  TablePlace top_;
};

}  // namespace swiommu
