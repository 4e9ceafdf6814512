// Visiting: all leaves of a range, in order of their inputs.
#pragma once
#include "page_table/descent.h"
#include "page_table/format.h"
#include "page_table/table_memory.h"
#include "swiommu/base/range.h"
#include "swiommu/page_table/leaf.h"

namespace swiommu {

// Memory of which words in a row can be had at once.
template <class M, class Entry>
concept ReadsRows = requires(M const& m, std::uint64_t table, std::uint64_t index, std::uint64_t count) {
  { m.template row<Entry>(table, index, count).load(index) } -> std::same_as<Entry>;
};

template <PageTableFormat F, TableReader<typename F::Entry> M, class Visit>
class LeafVisit {
 public:
  using Entry = typename F::Entry;

  // `visit(Leaf const&)` returns false to stop.
  LeafVisit(F const& format, M& memory, Visit& visit, VisitLimit& limit)
      : format_(format), memory_(memory), visit_(visit), limit_(limit) {}

  // False if it was stopped. Tables that cannot be reached and malformed entries are passed over. Each item is looked at
  // on its own, as a walker does: a run that somebody wrote wrongly shows as what its items say. However the tables point
  // at each other, the depth is bounded by the number of levels and the work by the budget.
  bool run(unsigned level, std::uint64_t table, Range range, Access rights, bool marked = true) {
    Geometry const& g = format_.geometry();
    std::uint64_t const first = g.index(level, range.start);
    auto const row = row_of(table, first, g.index(level, range.last) - first + 1);
    for (std::uint64_t at = range.start;;) {
      std::uint64_t const i = g.index(level, at);
      std::uint64_t last = std::min(g.item(level, at).last, range.last);
      if (limit_.words == 0) {
        limit_.next = at;
        return false;
      }
      limit_.words--;
      std::optional<Entry> e;
      if constexpr (ReadsRows<M, Entry>) {
        if (i - first < row.count)
          e = row.load(i - first);
        else if (i != first || !row.unreachable)
          e = memory_.template load<Entry>(table, i);
      } else {
        e = memory_.template load<Entry>(table, i);
      }
      if (!e) {
        // A table lies in one piece of memory or in several: skip the item, not the table.
        if (last == range.last) return true;
        at = last + 1;
        continue;
      }
      EntryKind const kind = format_.kind(*e, level);
      if constexpr (ReadsRows<M, Entry>)
        if (limit_.joins && kind == EntryKind::leaf) last = join(*e, level, {at, range.last}, row, i - first);
      if (kind == EntryKind::leaf && !leaf(*e, level, {at, last}, rights, marked)) return false;
      if (kind == EntryKind::table && !descend(*e, level, {at, last}, rights, marked)) return false;
      if (last == range.last) return true;
      at = last + 1;
    }
  }

 private:
  // Words in a row are located once.
  auto row_of(std::uint64_t table, std::uint64_t first, std::uint64_t count) const {
    if constexpr (ReadsRows<M, Entry>) {
      using Row = typename M::template Row<Entry>;
      return limit_.words == 0 ? Row() : memory_.template row<Entry>(table, first, count);
    } else {
      return nullptr;
    }
  }

  // The last input of the items from that of `e` on, the `n`th word of `row`, that go on from each other: words that differ in
  // the address only, by one item from each to the next. An address that overflowed would show in the last of them.
  template <class Row>
  std::uint64_t join(Entry e, unsigned level, Range range, Row const& row, std::uint64_t n) {
    unsigned const shift = format_.geometry().level[level].shift;
    std::uint64_t const one = std::min(range.last, range.start | low_bits(shift));
    if ((format_.leaf_sizes(level) & bit(shift)) == 0 || format_.leaf_size_lg2(e, level, range.start) != shift) return one;
    auto const word = [&](std::uint64_t address) { return format_.leaf(address, level, shift, Attributes{}); };
    Entry const step = static_cast<Entry>(word(bit(shift)) - word(0));
    std::uint64_t const most = std::min(
        {row.count - std::min(n, row.count), limit_.words + 1, ((range.last - align_down(range.start, shift)) >> shift) + 1});
    if (most < 2) return one;
    std::uint64_t const count = 1 + count_steps(row, n + 1, most - 1, static_cast<Entry>(e + step), step);
    Entry const last = static_cast<Entry>(e + (count - 1) * step);
    std::uint64_t const input = align_down(range.start, shift) + ((count - 1) << shift);
    if (count < 2 || format_.kind(last, level) != EntryKind::leaf || format_.leaf_size_lg2(last, level, input) != shift ||
        format_.attributes(last, level) != format_.attributes(e, level) ||
        format_.leaf_address(last, level, input) != format_.leaf_address(e, level, range.start) + ((count - 1) << shift))
      return one;
    limit_.words -= count - 1;
    return std::min(range.last, input | low_bits(shift));
  }

  // How many of the `most` words from the `n`th on are `next`, and then more by `step` from each to the next.
  template <class Row>
  static std::uint64_t count_steps(Row const words, std::uint64_t n, std::uint64_t most, Entry next, Entry step) {
    if (most == 0 || words.load(n) != next) return 0;
    constexpr std::uint64_t stride = 8;  // so many are looked at before one is asked about
    std::uint64_t count = 0;
    for (; count + stride <= most; count += stride) {
      Entry differences = 0, expected = next;
#pragma GCC unroll 8
      for (std::uint64_t k = 0; k < stride; k++) {
        differences = static_cast<Entry>(differences | (words.load(n + count + k) ^ expected));
        expected = static_cast<Entry>(expected + step);
      }
      if (differences != 0) break;
      next = expected;
    }
    for (; count < most && words.load(n + count) == next; count++) next = static_cast<Entry>(next + step);
    return count;
  }

  // Would an access leave the word as it is?
  bool is_marked(Entry e, unsigned level, bool write) const {
    if constexpr (UpdatesEntries<F>) return format_.touched(e, level, write) == e;
    return true;
  }

  bool leaf(Entry e, unsigned level, Range range, Access rights, bool marked) {
    limit_.next = range.start;  // if this is where it is stopped
    unsigned const lg2 = format_.leaf_size_lg2(e, level, range.start);
    Attributes attributes = format_.attributes(e, level);
    attributes.access = attributes.access & rights;
    return visit_(Leaf{.range = range,
                       .output = format_.leaf_address(e, level, range.start) | (range.start & low_bits(lg2)),
                       .attributes = attributes,
                       .size_lg2 = static_cast<std::uint8_t>(lg2),
                       .level = static_cast<std::uint8_t>(level),
                       .marked = marked && is_marked(e, level, attributes.access.write)});
  }

  bool descend(Entry e, unsigned level, Range range, Access rights, bool marked) {
    marked = marked && is_marked(e, level, rights.write);
    if constexpr (CombinesRights<F>) rights = rights & format_.table_rights(e, level);
    return for_each_part_below(format_, e, level, range, [&](Range part) {
      return run(child_level(format_, e, level), format_.table_address(e, level), part, rights, marked);
    });
  }

  F const& format_;
  M& memory_;
  Visit& visit_;
  VisitLimit& limit_;
};

}  // namespace swiommu
