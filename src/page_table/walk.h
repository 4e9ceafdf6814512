// The walk: from an input address to a leaf, in any format, over any reader.
#pragma once
#include <array>
#include <optional>

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

  explicit Walker(F const& format) : format_(format), inputs_(format.geometry().inputs()), steps_(format) {}

  [[nodiscard]] PlainSteps<Entry> const& steps() const { return steps_; }

  // Translates `input` for `access`, from the table at `root`. An access that asks for nothing checks no permission.
  // `observe(level, table, index, entry)` is called for each word met; the entry is empty if the table was unreachable.
  // With Update::yes, accessed and dirty flags are written where the format is configured for it, after the permission
  // check and before the result is given out, so that a dirty flag is set before any write can be seen.
  template <TableReader<Entry> M, class Observer = NoObserver>
  [[nodiscard]] Walk walk(M& memory, std::uint64_t root, std::uint64_t input, Access access, Update update = Update::no,
                          Observer&& observe = {}) const {
    if constexpr (UpdatesEntries<F>) {
      if (update == Update::yes) return walk_and_touch(memory, root, input, access, observe);
    }
    NoPath path;
    return descend(memory, root, input, access, path, observe);
  }

  // The end of a walk, at the word `e` of a table of level 0; false: not all there is to it is a translation.
  [[nodiscard]] bool walk_lowest(Entry e, std::uint64_t input, Access access, Access above, Update update, Walk& walk) const {
    if (!inputs_.contains(input) || format_.kind(e, 0) != EntryKind::leaf) return false;
    if constexpr (UpdatesEntries<F>) {
      if (update == Update::yes && format_.touched(e, 0, access.write) != e) return false;
    }
    walk = leaf(Walk{.entry = e}, 0, input, access, above);
    return walk.ok();
  }

 private:
  static constexpr unsigned maximum_attempts = 64;

  struct Step {
    std::uint64_t table;
    std::uint64_t index;
    Entry entry;
    std::uint8_t level;
  };
  struct Path {
    std::array<Step, maximum_levels> step;  // set up to length
    unsigned length = 0;
    void add(std::uint64_t table, std::uint64_t index, Entry entry, unsigned level) {
      step[length++] = {table, index, entry, static_cast<std::uint8_t>(level)};
    }
  };
  struct NoPath {
    void add(std::uint64_t, std::uint64_t, Entry, unsigned) {}
  };

  template <class M, class Observer>
  [[gnu::noinline]] Walk walk_and_touch(M& memory, std::uint64_t root, std::uint64_t input, Access access,
                                        Observer&& observe) const
    requires UpdatesEntries<F>
  {
    for (unsigned attempt = 0; attempt < maximum_attempts; attempt++) {
      Path path;
      Walk const result = descend(memory, root, input, access, path, observe);
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

  template <class M, class P, class Observer>
  Walk descend(M& memory, std::uint64_t root, std::uint64_t input, Access access, P& path, Observer&& observe) const {
    unsigned l = format_.geometry().top();
    if (!inputs_.contains(input)) return Walk{.reason = Reason::out_of_range, .level = static_cast<std::uint8_t>(l)};
    Access rights = Access::both();
    std::uint64_t table = root;
    for (;;) {
      std::uint64_t i = 0;
      Entry e = 0;
      for (auto const* step = &steps_[l];; step--, l--) {
        i = step->index(input);
        bool const reached = memory.template fetch<Entry>(table, i, e);
        observe(l, table, i, reached ? std::optional(e) : std::nullopt);
        if (!reached) [[unlikely]]
          return ended(Reason::table_unreachable, l, table, i, 0);
        if (!step->passes(e)) break;
        table = format_.table_address(e, l);
      }
      path.add(table, i, e, l);
      // Most walks end at level 0; with the level a constant, less is asked.
      if (l == 0) [[likely]]
        return leaf_or_hole(0, table, i, e, input, access, rights);
      if (format_.kind(e, l) != EntryKind::table) return leaf_or_hole(l, table, i, e, input, access, rights);
      if constexpr (CombinesRights<F>) rights = rights & format_.table_rights(e, l);
      std::uint64_t const next_table = format_.table_address(e, l);
      if constexpr (SkipsLevels<F>) {
        unsigned const next = format_.next_level(e, l);
        // Input bits of skipped levels must be zero: the first of them that is not makes the hole.
        for (unsigned skipped = l - 1; skipped > next; skipped--)
          if (steps_[skipped].index(input) != 0) return ended(Reason::not_mapped, l, table, i, e, skipped);
        l = next;
      } else {
        if constexpr (HasPartialTables<F>) {
          if (!format_.table_holds(e, l, steps_[l - 1].index(input))) return ended(Reason::not_mapped, l, table, i, e, l - 1);
        }
        l--;
      }
      table = next_table;
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
      Step const& step = path.step[n];
      Entry const touched = format_.touched(step.entry, step.level, write);
      if (touched == step.entry) continue;
      Entry expected = step.entry;
      Exchange const outcome = memory.template exchange<Entry>(step.table, step.index, expected, touched);
      if (outcome != Exchange::done) return outcome;
    }
    return Exchange::done;
  }

  F const& format_;
  Inputs const inputs_;
  PlainSteps<Entry> const steps_;
};

}  // namespace swiommu
