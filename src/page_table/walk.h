// The walk: from an input address to a leaf, in any format, over any reader.
#pragma once
#include <array>
#include <optional>

#include "page_table/descent.h"
#include "page_table/format.h"
#include "page_table/plain_steps.h"
#include "page_table/table_memory.h"
#include "swiommu/page_table/page_table.h"
#include "swiommu/page_table/walk.h"

namespace swiommu {

// For walks that nobody looks at.
struct NoObserver {
  constexpr void operator()(auto const&...) const {}
};

template <PageTableFormat F>
class Walker {
 public:
  using Entry = typename F::Entry;

  explicit Walker(F const& format)
      : format_(format),
        inputs_(format.geometry().inputs()),
        steps_(format),
        plain_{.size_lg2 = format.geometry().level[0].shift, .attributes = {.access = Access::both()}} {
    if constexpr (TracksAccessed<F>) sets_flags_ = format.tracks_accessed();
    if constexpr (TracksDirty<F>) sets_flags_ = sets_flags_ || format.tracks_dirty();
  }

  [[nodiscard]] PlainSteps<Entry> const& steps() const { return steps_; }

  // Translates `input` for `access`, from the table at `root`. An access that asks for nothing checks no permission.
  // `observe(level, table, index, entry)` is called for each word met; the entry is empty if the table was unreachable.
  // With Update::yes, accessed and dirty flags are written where the format is configured for it, after the permission
  // check and before the result is given out, so that a dirty flag is set before any write can be seen.
  template <TableReader<Entry> M, class Observer = NoObserver>
  [[nodiscard]] Walk walk(M& memory, std::uint64_t root, std::uint64_t input, Access access, Update update = Update::no,
                          Observer&& observe = {}) const {
    if (!inputs_.contains(input)) return Walk{.reason = Reason::out_of_range, .level = static_cast<std::uint8_t>(steps_.top())};
    Place const place = next_place(memory, steps_.top(), root, input, observe);
    // Most walks meet nothing but plain words.
    if (place.is_reached) [[likely]] {
      std::uint64_t const entry_address = place.table + place.index * sizeof(Entry);
      if (place.level == 0) [[likely]] {
        if (steps_.leaf(0, access.write).matches(place.entry)) [[likely]]
          return plain_leaf(0, entry_address, place.entry, input);
      } else if (steps_.leaf(place.level, access.write).matches(place.entry)) {
        return plain_leaf(place.level, entry_address, place.entry, input);
      }
    }
    if constexpr (UpdatesEntries<F>) {
      if (update == Update::yes && sets_flags_) return walk_and_touch(memory, root, place, input, access, observe);
    }
    NoPath path;
    return descend(memory, place, input, access, path, observe);
  }

  // The end of a walk, at the word `e` of a table of level 0; false: not all there is to it is a translation.
  [[nodiscard]] bool walk_lowest(Entry e, std::uint64_t input, Access access, Access above, Update update, Walk& walk) const {
    if (!inputs_.contains(input)) return false;
    if (above == Access::both() && steps_.leaf(0, access.write).matches(e)) [[likely]] {
      walk = plain_leaf(0, 0, e, input);
      return true;
    }
    if (format_.kind(e, 0) != EntryKind::leaf) return false;
    if constexpr (UpdatesEntries<F>) {
      if (update == Update::yes && format_.touched(e, 0, access.write) != e) return false;
    }
    walk = leaf(Walk{.entry = e}, 0, input, access, above);
    return walk.ok();
  }

 private:
  static constexpr unsigned maximum_attempts = 64;

  // A word on the way.
  struct Place {
    unsigned level;
    std::uint64_t table;
    std::uint64_t index;
    Entry entry;
    bool is_reached;  // else the table cannot be read
  };
  struct Path {
    std::array<Place, maximum_levels> place;  // set up to length
    unsigned length = 0;
    void add(Place const& next) { place[length++] = next; }
  };
  struct NoPath {
    void add(Place const&) {}
  };

  // The first word from this table on that is more than plain.
  template <class M, class Observer>
  [[gnu::always_inline]] Place next_place(M& memory, unsigned level, std::uint64_t table, std::uint64_t input,
                                          Observer&& observe) const {
    for (auto const* step = &steps_[level];; step--, level--) {
      std::uint64_t const index = step->index(input);
      Entry e = 0;
      bool const reached = memory.template fetch<Entry>(table, index, e);
      observe(level, table, index, reached ? std::optional(e) : std::nullopt);
      // Of level 0, no word passes.
      if (!reached || !step->passes(e)) return {level, table, index, e, reached};
      table = format_.table_address(e, level);
    }
  }

  template <class M, class Observer>
  [[gnu::noinline]] Walk walk_and_touch(M& memory, std::uint64_t root, Place place, std::uint64_t input, Access access,
                                        Observer&& observe) const
    requires UpdatesEntries<F>
  {
    for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
      if (attempt != 0) place = next_place(memory, steps_.top(), root, input, observe);
      Path path;
      Walk const result = descend(memory, place, input, access, path, observe);
      if (!result.ok()) return result;
      switch (touch(memory, path, access.write)) {
        case Exchange::done: return result;
        case Exchange::changed: continue;
        case Exchange::unreachable: return failed(result, Reason::table_unreachable);
      }
    }
    // An owner who keeps changing the entries under the walker gets a fault, not an endless loop.
    return Walk{.reason = Reason::table_unreachable};
  }

  static Walk failed(Walk walk, Reason reason) {
    walk.reason = reason;
    return walk;
  }

  // From the first word that is more than plain.
  template <class M, class P, class Observer>
  [[gnu::noinline]] Walk descend(M& memory, Place place, std::uint64_t input, Access access, P& path, Observer&& observe) const {
    Access rights = Access::both();
    for (;;) {
      auto const [l, table, i, e, reached] = place;
      if (!reached) return ended(Reason::table_unreachable, l, table, i, 0);
      path.add(place);
      if (l == 0 || format_.kind(e, l) != EntryKind::table) return leaf_or_hole(l, table, i, e, input, access, rights);
      if constexpr (CombinesRights<F>) rights = rights & format_.table_rights(e, l);
      unsigned const next = child_level(format_, e, l);
      if constexpr (SkipsLevels<F>) {
        // Input bits of skipped levels must be zero: the first of them that is not makes the hole.
        for (unsigned skipped = l - 1; skipped > next; skipped--)
          if (steps_[skipped].index(input) != 0) return ended(Reason::not_mapped, l, table, i, e, skipped);
      } else if constexpr (HasPartialTables<F>) {
        auto const held = format_.held_items(e, l);
        if (!held || !held->contains(steps_[next].index(input))) return ended(Reason::not_mapped, l, table, i, e, next);
      }
      place = next_place(memory, next, format_.table_address(e, l), input, observe);
    }
  }

  [[nodiscard]] Walk ended(Reason reason, unsigned l, std::uint64_t table, std::uint64_t index, Entry e) const {
    return ended(reason, l, table, index, e, l);
  }
  [[nodiscard]] Walk ended(Reason reason, unsigned l, std::uint64_t table, std::uint64_t index, Entry e,
                           unsigned hole_level) const {
    return Walk{.reason = reason,
                .level = static_cast<std::uint8_t>(l),
                .size_lg2 = steps_[hole_level].shift,
                .entry_address = table + index * sizeof(Entry),
                .entry = e};
  }

  Walk leaf_or_hole(unsigned l, std::uint64_t table, std::uint64_t index, Entry e, std::uint64_t input, Access access,
                    Access rights) const {
    EntryKind const kind = format_.kind(e, l);
    if (kind == EntryKind::leaf) [[likely]]
      return leaf(ended(Reason::none, l, table, index, e), l, input, access, rights);
    if (kind == EntryKind::empty) return ended(Reason::not_mapped, l, table, index, e);
    if constexpr (ExplainsMalformed<F>) return ended(format_.reason(e, l), l, table, index, e);
    return ended(Reason::malformed, l, table, index, e);
  }

  // It allows whatever the access is.
  [[gnu::always_inline]] Walk plain_leaf(unsigned level, std::uint64_t entry_address, Entry e, std::uint64_t input) const {
    Walk result = plain_;
    if (level != 0) {
      result.level = static_cast<std::uint8_t>(level);
      result.size_lg2 = steps_[level].shift;
    }
    result.output = format_.leaf_address(e, level, input) | (input & steps_[level].inside);
    result.entry_address = entry_address;
    result.entry = e;
    return result;
  }

  Walk leaf(Walk result, unsigned l, std::uint64_t input, Access access, Access rights) const {
    Entry const e = static_cast<Entry>(result.entry);
    unsigned const lg2 = format_.leaf_size_lg2(e, l, input);
    result.size_lg2 = static_cast<std::uint8_t>(lg2);
    result.attributes = format_.attributes(e, l);
    result.attributes.access = result.attributes.access & rights;
    result.above = rights;
    result.output = format_.leaf_address(e, l, input) | (input & low_bits(lg2));
    if (!result.attributes.access.covers(access)) return failed(result, Reason::permission);
    return result;
  }

  // Writes the flags from the root down to the leaf. A lost race means that the path may be another one now.
  template <class M>
  Exchange touch(M& memory, Path const& path, bool write) const
    requires UpdatesEntries<F>
  {
    for (unsigned n = 0; n < path.length; n++) {
      Place const& place = path.place[n];
      Entry const touched = format_.touched(place.entry, place.level, write);
      if (touched == place.entry) continue;
      Entry expected = place.entry;
      Exchange const outcome = memory.template exchange<Entry>(place.table, place.index, expected, touched);
      if (outcome != Exchange::done) return outcome;
    }
    return Exchange::done;
  }

  F const& format_;
  Inputs const inputs_;
  PlainSteps<Entry> const steps_;
  Walk const plain_;  // what walks to plain leaves have in common
  bool sets_flags_ = false;
};

}  // namespace swiommu
