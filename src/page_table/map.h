// Mapping: the largest entries that address, output and length allow, sizes mixed in one call.
//
// In two passes over the same recursion: plan() looks for conflicts and counts the tables that are missing, commit()
// cannot fail. Ranges that are disjoint may be mapped at the same time without a lock: tables are installed by
// compare-and-swap; the loser takes its table back and goes on in the winner's. A subtree is filled before it becomes
// visible, so every state that a walker can see shows for each address the old or the new translation.
#pragma once
#include <cstdio>
#include <functional>
#include <optional>

#include "page_table/descent.h"
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
      if (unsigned const lg2 = best_size_lg2(level, at, target.at(at), range.last, target.largest_lg2); lg2 != 0) {
        last = at | low_bits(lg2);
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
      if (unsigned const lg2 = best_size_lg2(level, at, target.at(at), range.last, target.largest_lg2); lg2 != 0) {
        last = at | low_bits(lg2);
        put_leaves(level, table, at, lg2, target, gather, inherit);
      } else {
        last = std::min(g.item(level, at).last, range.last);
        descend(level, table, {at, last}, target, stash, gather, inherit);
      }
      if (last == range.last) return;
      at = last + 1;
    }
  }

  // False if the owner of a foreign table has taken memory away, or changed the table, since the plan: part of the change is
  // missing.
  [[nodiscard]] bool is_complete() const { return complete_; }

  // Log2 of the largest leaf of this level that fits at `input`; 0 if none does.
  [[nodiscard]] unsigned best_size_lg2(unsigned level, std::uint64_t input, std::uint64_t output, std::uint64_t last,
                                       unsigned largest_lg2 = 63) const {
    LevelShape const shape = format_.geometry().level[level];
    std::uint64_t const aligned = low_bits(alignment_lg2(input | output) + 1);
    std::uint64_t const length = last - input;  // less one
    std::uint64_t const short_enough = low_bits(length == ~std::uint64_t{0} ? 64 : log2_floor(length + 1) + 1);
    std::uint64_t const in_table = low_bits(shape.shift + shape.index_bits + 1u);
    std::uint64_t const fits = format_.leaf_sizes(level) & aligned & short_enough & in_table & low_bits(largest_lg2 + 1);
    return fits ? log2_floor(fits) : 0;
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

  // Leaves are to be written over all of `range`.
  Result<void> plan_leaves(unsigned level, std::uint64_t table, Range range, Existing existing) const {
    if (!memory_.template load<Entry>(table, format_.geometry().index(level, range.start))) return unreachable(table);
    if (existing == Existing::refuse)
      if (auto const found = first_leaf(level, table, range)) return already_mapped(*found);
    return {};
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
  void put_leaves(unsigned level, std::uint64_t table, std::uint64_t at, unsigned lg2, Target const& target, Gather& gather,
                  Inherit const& inherit) {
    Geometry const& g = format_.geometry();
    std::uint64_t const first = g.index(level, at);
    for (std::uint64_t n = 0; n < bit(lg2 - g.level[level].shift); n++) {
      std::uint64_t const output = target.at(at) + shift_left(n, g.level[level].shift);
      Entry const word = inherit(format_.leaf(output, level, lg2, target.attributes));
      Entry const old = load(level, table, first + n);
      if (!memory_.template store<Entry>(table, first + n, word)) {
        complete_ = false;
        return;
      }
      // An empty table that a large leaf takes the place of, or one whose leaves it replaces. Who remembers where tables are
      // must forget it, though its inputs may have had no translation.
      if (level > 0 && format_.kind(old, level) == EntryKind::table) {
        gather.add_range(g.item(level, at + shift_left(n, g.level[level].shift)));
        retire_entry(old, level, at, gather);
      }
    }
  }

  template <class Inherit>
  void descend(unsigned level, std::uint64_t table, Range range, Target const& target, Stash& stash, Gather& gather,
               Inherit const& inherit) {
    std::uint64_t const i = format_.geometry().index(level, range.start);
    Entry e = load(level, table, i);
    while (format_.kind(e, level) != EntryKind::table) {
      auto const child = stash.take(level - 1);
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
