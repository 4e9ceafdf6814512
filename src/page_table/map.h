// Mapping: the largest entries that address, output and length allow, sizes mixed in one call.
//
// In two passes over the same recursion: plan() looks for conflicts and counts the tables that are missing, commit()
// cannot fail. Both begin at the lowest table under which all of the range lies (descent.h). Ranges that are disjoint may be
// mapped at the same time without a lock: tables are installed by compare-and-swap; the loser takes its table back and goes on in
// the winner's. A subtree is filled before it becomes visible, so every state that a walker can see shows for each address the
// old or the new translation.
#pragma once
#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>

#include "page_table/descent.h"
#include "page_table/rows.h"
#include "page_table/table_stash.h"
#include "swiommu/page_table/change.h"
#include "swiommu/page_table/gather.h"

namespace swiommu {

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class Mapper {
 public:
  using Entry = typename F::Entry;
  using Stash = TableStash<F, M>;

  // Maps inputs from `origin` on to `output` on: input -> output + (input - origin).
  struct Target {
    std::uint64_t origin;
    std::uint64_t output;
    Attributes attributes;
    unsigned largest_lg2 = 63;  // no leaf is larger
    [[nodiscard]] constexpr std::uint64_t at(std::uint64_t input) const { return output + (input - origin); }
  };

  Mapper(F const& format, M& memory) : format_(format), memory_(memory) {}

  // EEXIST if something is mapped in `range` and `existing` is refuse; EFAULT if a table cannot be reached; ENOTSUP where its
  // owner made it skip levels or left a part of it out. `table` is nothing for a table that is not there yet.
  Result<void> plan(unsigned level, std::optional<std::uint64_t> table, Range range, Target const& target, Existing existing,
                    TableNeeds& needs) const {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      std::uint64_t last = 0;
      if (auto const run = leaves_from(level, at, range.last, target)) {
        last = run->last;
        if (table) SWIOMMU_TRY(plan_leaves(level, *table, {at, last}, existing));
      } else if (level == 0) {
        return fail(EINVAL, "not aligned to the smallest page");
      } else {
        last = std::min(g.item(level, at).last, range.last);
        std::optional<std::uint64_t> child;
        unsigned below = level - 1;
        auto const e = table ? memory_.template load<Entry>(*table, g.index(level, at)) : format_.empty(level);
        if (!e) return unreachable(*table);
        switch (format_.kind(*e, level)) {
          case EntryKind::table:
            if (!leads_on(format_, *e, level, {at, last})) return fail(ENOTSUP, "the page table has parts that are left out");
            child = format_.table_address(*e, level);
            below = child_level(format_, *e, level);
            break;
          case EntryKind::empty: needs.tables[level - 1]++; break;
          default:
            if (existing == Existing::refuse) return already_mapped(at);
            needs.tables[level - 1]++;
        }
        if (child || level > 1) SWIOMMU_TRY(plan(below, child, {at, last}, target, existing, needs));
      }
      if (last == range.last) return {};
      at = last + 1;
    }
  }

  // `inherit` changes each new leaf word, to carry over flags of an entry that is being split.
  template <class Inherit = std::identity>
  void commit(unsigned level, std::uint64_t table, Range range, Target const& target, Stash& stash, Gather& gather,
              Inherit const& inherit = {}) {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      std::uint64_t last = 0;
      if (auto const run = leaves_from(level, at, range.last, target)) {
        last = run->last;
        put_leaves(level, table, {at, last}, run->size_lg2, target, gather, inherit);
      } else {
        last = std::min(g.item(level, at).last, range.last);
        descend(level, table, {at, last}, target, stash, gather, inherit);
      }
      if (last == range.last) return;
      at = last + 1;
    }
  }

  // The word of each item of leaves of 2^lg2 bytes from `at` on. By value, so that what is the same for all is worked out once.
  template <class Inherit = std::identity>
  [[nodiscard]] auto words(unsigned level, std::uint64_t at, unsigned lg2, Target const& target,
                           Inherit const& inherit = {}) const {
    return [format = format_, inherit, output = target.at(at), shift = format_.geometry().level[level].shift, level, lg2,
            attributes = target.attributes](std::uint64_t n) -> Entry {
      return inherit(format.leaf(output + (n << shift), level, lg2, attributes));
    };
  }

  // May leaves be written all over `range`, which lies under one table? Errors as above.
  Result<void> plan_leaves(unsigned level, std::uint64_t table, Range range, Existing existing) const {
    if (!memory_.template load<Entry>(table, format_.geometry().index(level, range.start))) return unreachable(table);
    Geometry const& g = format_.geometry();
    if (existing == Existing::refuse &&
        !surely_empty(format_, memory_, level, table, g.index(level, range.start), g.index(level, range.last)))
      if (auto const found = first_leaf(level, table, range)) return already_mapped(*found);
    return {};
  }

  // Writes them, of 2^lg2 bytes each.
  template <class Inherit = std::identity>
  void put_leaves(unsigned level, std::uint64_t table, Range range, unsigned lg2, Target const& target, Gather& gather,
                  Inherit const& inherit = {}) {
    Geometry const& g = format_.geometry();
    std::uint64_t const first = g.index(level, range.start), count = g.index(level, range.last) - first + 1;
    auto const word = words(level, range.start, lg2, target, inherit);
    if (level == 0) {
      if (!store_row<Entry>(memory_, table, first, count, word)) complete_ = false;
      return;
    }
    for (std::uint64_t n = 0; n < count; n++) {
      Entry const old = load(level, table, first + n);
      if (!memory_.template store<Entry>(table, first + n, word(n))) {
        complete_ = false;
        return;
      }
      // An empty table that a large leaf takes the place of, or one whose leaves it replaces. Who remembers where tables are
      // must forget it, though its inputs may have had no translation.
      if (format_.kind(old, level) == EntryKind::table) {
        std::uint64_t const at = range.start + (n << g.level[level].shift);
        gather.add_range(g.item(level, at));
        retire_entry(old, level, at, gather);
      }
    }
  }

  // False if the owner of a foreign table has taken memory away, or changed the table, since the plan: part of the change is
  // missing.
  [[nodiscard]] bool is_complete() const { return complete_; }

  // Leaves of one size, the largest that fits at their start, in a row in one table.
  struct Leaves {
    unsigned size_lg2;
    std::uint64_t last;  // input
  };
  // Those of this level that begin at `input`; nothing if none fits.
  [[nodiscard]] std::optional<Leaves> leaves_from(unsigned level, std::uint64_t input, std::uint64_t last,
                                                  Target const& target) const {
    LevelShape const shape = format_.geometry().level[level];
    unsigned const table_lg2 = shape.shift + shape.index_bits + 0u;
    std::uint64_t const output = target.at(input);
    std::uint64_t const sizes = format_.leaf_sizes(level) & low_bits(std::min(table_lg2, target.largest_lg2) + 1);
    std::uint64_t const aligned = sizes & low_bits(alignment_lg2(input | output) + 1);
    std::uint64_t const length = last - input;  // less one
    std::uint64_t const fits = aligned & low_bits(length == ~std::uint64_t{0} ? 64 : log2_floor(length + 1) + 1);
    if (fits == 0) return std::nullopt;
    unsigned const lg2 = log2_floor(fits);
    // They go on to the end of the table, or to where a larger size fits, if input and output ever are aligned to one at once.
    std::uint64_t const larger = sizes & ~low_bits(lg2 + 1) & low_bits(alignment_lg2(input - output) + 1);
    std::uint64_t const end = std::min(last, input | low_bits(larger ? alignment_lg2(larger) : table_lg2));
    return Leaves{lg2, align_down(end + 1, lg2) - 1};
  }

  // The tree of tables from this one on, which is no longer linked, goes to the gather.
  void retire(std::uint64_t table, unsigned level, Gather& gather) {
    if (level > 0) retire_below(table, level, {0, bit(format_.geometry().level[level].index_bits) - 1}, gather);
    memory_.retire(gather, table, table_size_lg2(format_, level));
  }
  // The same for the tree that the entry `e`, met at `level` for `input`, leads to.
  void retire_entry(Entry e, unsigned level, std::uint64_t input, Gather& gather) {
    unsigned const next = child_level(format_, e, level);
    std::uint64_t const table = format_.table_address(e, level);
    if (next > 0) {
      Geometry const& g = format_.geometry();
      for_each_part_below(format_, e, level, g.item(level, input), [&](Range part) {
        retire_below(table, next, {g.index(next, part.start), g.index(next, part.last)}, gather);
        return true;
      });
    }
    memory_.retire(gather, table, table_size_lg2(format_, next));
  }

 private:
  Entry load(unsigned level, std::uint64_t table, std::uint64_t index) const {
    return memory_.template load<Entry>(table, index).value_or(format_.empty(level));
  }

  // What the items `indices` of a table lead to goes to the gather.
  void retire_below(std::uint64_t table, unsigned level, Range indices, Gather& gather) {
    for (std::uint64_t i = indices.start; i <= indices.last; i++)
      if (Entry const e = load(level, table, i); format_.kind(e, level) == EntryKind::table)
        retire_entry(e, level, i << format_.geometry().level[level].shift, gather);
  }

  static std::unexpected<Error> unreachable(std::uint64_t table) {
    char text[64];
    std::snprintf(text, sizeof text, "the table at 0x%llx cannot be reached", static_cast<unsigned long long>(table));
    return fail(EFAULT, text);
  }

  static std::unexpected<Error> already_mapped(std::uint64_t input) {
    char text[64];
    std::snprintf(text, sizeof text, "0x%llx is mapped already", static_cast<unsigned long long>(input));
    return fail(EEXIST, text);
  }

  // The first input in `range` that is mapped.
  std::optional<std::uint64_t> first_leaf(unsigned level, std::uint64_t table, Range range) const {
    Geometry const& g = format_.geometry();
    for (std::uint64_t at = range.start;;) {
      Entry const e = load(level, table, g.index(level, at));
      std::uint64_t const last = std::min(g.item(level, at).last, range.last);
      EntryKind const kind = format_.kind(e, level);
      if (kind == EntryKind::table) {
        std::optional<std::uint64_t> found;
        for_each_part_below(format_, e, level, {at, last}, [&](Range part) {
          found = first_leaf(child_level(format_, e, level), format_.table_address(e, level), part);
          return !found;
        });
        if (found) return found;
      } else if (kind != EntryKind::empty) {
        return at;
      }
      if (last == range.last) return std::nullopt;
      at = last + 1;
    }
  }

  template <class Inherit>
  void descend(unsigned level, std::uint64_t table, Range range, Target const& target, Stash& stash, Gather& gather,
               Inherit const& inherit) {
    std::uint64_t const i = format_.geometry().index(level, range.start);
    Entry e = load(level, table, i);
    while (format_.kind(e, level) != EntryKind::table) {
      auto const child = stash.take(level - 1, level == 1 && range == format_.geometry().item(level, range.start));
      if (child) commit(level - 1, *child, range, target, stash, gather, inherit);
      Exchange const outcome =
          child ? memory_.template exchange<Entry>(table, i, e, format_.table(*child, level)) : Exchange::unreachable;
      if (outcome == Exchange::done) return;
      if (child) stash.put_back(*child, level - 1);
      if (outcome == Exchange::unreachable) {
        complete_ = false;
        return;
      }
      // Somebody else installed a table first, or a walker has set a flag: `e` is what is there now.
    }
    if (leads_on(format_, e, level, range))
      commit(child_level(format_, e, level), format_.table_address(e, level), range, target, stash, gather, inherit);
    else
      complete_ = false;
  }

  F const& format_;
  M& memory_;
  bool complete_ = true;
};

}  // namespace swiommu
