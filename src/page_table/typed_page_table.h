// PageTable for one format over one kind of table memory: here the engine's parts come together.
#pragma once
#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string>

#include "page_table/compare.h"
#include "page_table/harvest.h"
#include "page_table/map.h"
#include "page_table/single_item.h"
#include "page_table/split.h"
#include "page_table/unmap.h"
#include "page_table/visit.h"
#include "page_table/walk.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu {

// Memory whose owner may be an enemy: one call looks at a limited number of words.
template <class M>
concept BudgetedMemory = requires(M const& m, std::uint64_t words) {
  { m.budget() } -> std::same_as<std::uint64_t>;
  { m.limited(words) } -> std::same_as<M>;
  { m.exhausted() } -> std::same_as<bool>;
};

// Memory that is read through a view, and may be through another one of the same.
template <class M>
concept ViewedMemory = requires(M const& m, MemoryView const& view) {
  { m.seen_through(view) } -> std::same_as<M>;
};

template <PageTableFormat F>
TableShape shape_of(F const& f) {
  Geometry const& g = f.geometry();
  unsigned const bits = g.input_bits();
  TableShape shape{.levels = g.levels,
                   .input_bits = std::min(bits, 64u),
                   .output_bits = f.output_bits(),
                   .root_size_lg2 = table_size_lg2(f, g.top()),
                   .page_sizes = page_sizes(f)};
  switch (bits >= 64 ? Extension::zero : g.extension) {
    case Extension::zero: shape.lower = {0, low_bits(bits)}; break;
    case Extension::ones: shape.lower = {~low_bits(bits), ~std::uint64_t{0}}; break;
    case Extension::sign:
      shape.lower = {0, low_bits(bits - 1)};
      shape.upper = Range{~low_bits(bits - 1), ~std::uint64_t{0}};
      break;
  }
  if constexpr (TracksAccessed<F>) shape.tracks_accessed = f.tracks_accessed();
  if constexpr (TracksDirty<F>) shape.tracks_dirty = f.tracks_dirty();
  shape.has_lowest_tables = g.levels > 1 && g.level[1].shift == LowestTable::inputs_lg2 &&
                            bit(LowestTable::bytes_lg2) == sizeof(typename F::Entry) << g.level[0].index_bits;
  return shape;
}

template <PageTableFormat F>
std::string names_of_bits(F const& f, std::uint64_t entry) {
  std::string names;
  for (BitName const& name : f.bit_names())
    if ((entry >> name.position & 1) != 0) names.append(names.empty() ? "" : " ").append(name.name);
  return names;
}

template <PageTableFormat F, TableMemory<typename F::Entry> M>
class TypedPageTable : public PageTable {
 public:
  using Entry = typename F::Entry;

  TypedPageTable(F const& format, M memory, std::uint64_t root)
      : format_(format), memory_(std::move(memory)), root_(root), shape_(shape_of(format_)), walker_(format_) {}

  TableShape const& shape() const override { return shape_; }
  std::uint64_t root() const override { return root_; }
  std::string describe(std::uint64_t entry) const override { return names_of_bits(format_, entry); }

  // With all that it calls in one function: a level costs little more than the load of its word.
  [[gnu::flatten]] Walk walk(std::uint64_t input, Access access, Update update, MemoryView const* reader) const override {
    if constexpr (ViewedMemory<M>) {
      if (reader != nullptr) {
        M memory = memory_.seen_through(*reader);
        return walker_.walk(memory, root_, input, access, update);
      }
    }
    return walker_.walk(memory_, root_, input, access, update);
  }

  [[gnu::flatten]] bool walk_lowest(LowestTable const& table, std::uint64_t input, Access access, Update update,
                                    Walk& walk) const override {
    if constexpr (ViewedMemory<M>)
      return walker_.walk_lowest(memory_.template load_at<Entry>(table.words, walker_.steps()[0].index(input)), input, access,
                                 table.above, update, walk);
    return false;
  }

  Result<Walk> explain(std::uint64_t input, Access access, std::vector<WalkStep>& steps) const override {
    return guarded([&]() -> Result<Walk> {
      return walker_.walk(memory_, root_, input, access, Update::no,
                          [&](unsigned level, std::uint64_t table, std::uint64_t index, std::optional<Entry> e) {
                            steps.push_back(step(level, table, index, e));
                          });
    });
  }

  [[gnu::flatten]] Result<void> map(Range range, std::uint64_t output, Attributes attributes, Existing existing, Cut cut,
                                    Gather& gather, unsigned largest_leaf_lg2) override {
    if (!may_map(range, output, attributes, largest_leaf_lg2)) return refused_map(range, output, attributes, largest_leaf_lg2);
    typename Mapper<F, M>::Target const target{range.start, output, attributes, largest_leaf_lg2};
    auto const place = lowest_table(format_, walker_.steps(), memory_, top(), range);
    if constexpr (DirectTables<M, Entry>)
      if (existing == Existing::refuse && fill_item(format_, memory_, place, range, target)) return {};
    return map_below(place, range, target, existing, cut, gather);
  }

  [[gnu::flatten]] Result<std::uint64_t> unmap(Range range, Cut cut, Gather& gather) override {
    if (!covers(range)) return guarded([&] { return Result<std::uint64_t>(beyond_inputs(range)); });
    auto const place = lowest_table(format_, walker_.steps(), memory_, top(), range);
    if constexpr (DirectTables<M, Entry>) {
      if (auto const bytes = empty_item(format_, memory_, place, range)) {
        gather.add_range(range);
        return *bytes;
      }
    }
    return unmap_below(place, range, cut, gather);
  }

  std::optional<std::uint64_t> first_difference(Range range, std::uint64_t output, Attributes attributes) const override {
    if (!covers(range)) return range.start;
    typename Mapper<F, M>::Target const target{range.start, output, attributes};
    return Comparison<F, M>(format_, memory_, target).first_difference(top(), range);
  }

  bool visit_some(Range range, FunctionRef<bool(Leaf const&)> visit, VisitLimit& limit) const override {
    if (range.start > range.last) return true;
    LeafVisit<F, M, FunctionRef<bool(Leaf const&)>> visitor(format_, memory_, visit, limit);
    for (Range const& half : {shape_.lower, shape_.upper.value_or(shape_.lower)}) {
      if (auto const part = half.intersection(range);
          part && !visitor.run(format_.geometry().top(), root_, *part, Access::both()))
        return false;
      if (!shape_.upper) break;
    }
    return true;
  }

  Result<void> read_flags(Flag flag, Range range, Clear clear, FunctionRef<void(Range)> report) override {
    if (flag == Flag::dirty ? !shape_.tracks_dirty : !shape_.tracks_accessed)
      return fail(EOPNOTSUPP, flag == Flag::dirty ? "this table keeps no dirty flags" : "this table keeps no accessed flags");
    if (!covers(range)) return beyond_inputs(range);
    auto&& memory = memory_to_plan_in();
    Harvest<F, M, FunctionRef<void(Range)>>(format_, memory, flag, clear, report)
        .run(lowest_table(format_, walker_.steps(), memory, top(), range), range);
    if (exhausted(memory)) return over_budget();
    return {};
  }

 protected:
  [[nodiscard]] F const& format() const { return format_; }
  [[nodiscard]] M& memory() const { return memory_; }

 private:
  // All of `range` lies under the table `place`.
  [[gnu::noinline]] Result<void> map_below(TablePlace place, Range range, typename Mapper<F, M>::Target const& target,
                                           Existing existing, Cut cut, Gather& gather) {
    return guarded([&]() -> Result<void> {
      if constexpr (!BudgetedMemory<M>) {
        // Most calls want leaves of one size next to each other, in a table that is there: no need to plan.
        Mapper<F, M> mapper(format_, memory_);
        auto const leaves = mapper.leaves_from(place.level, range.start, range.last, target);
        if (leaves && leaves->last == range.last && existing == Existing::refuse) {
          SWIOMMU_TRY(mapper.plan_leaves(place.level, place.table, range, existing));
          mapper.put_leaves(place.level, place.table, range, leaves->size_lg2, target, gather);
          return mapper.is_complete() ? Result<void>() : disturbed();
        }
      }
      return map_as_planned(place, range, target, existing, cut, gather);
    });
  }

  Result<void> map_as_planned(TablePlace place, Range range, typename Mapper<F, M>::Target const& target, Existing existing,
                              Cut cut, Gather& gather) {
    TableNeeds needs;
    {
      auto&& memory = memory_to_plan_in();
      if (existing == Existing::replace) SWIOMMU_TRY(plan_cuts(memory, place, range, cut, needs));
      auto planned = Mapper<F, M>(format_, memory).plan(place.level, place.table, range, target, existing, needs);
      if (exhausted(memory)) return over_budget();
      if (!planned) return planned;
    }
    auto&& memory = memory_to_change();
    TableStash<F, M> stash(format_, memory);
    SWIOMMU_TRY(stash.reserve(needs));
    if (existing == Existing::replace) {
      gather.add_range(range);
      if (!cut_at_ends(memory, place, range, stash, gather)) return disturbed();
    }
    Mapper<F, M> mapper(format_, memory);
    mapper.commit(place.level, place.table, range, target, stash, gather);
    if (!mapper.is_complete() || exhausted(memory)) return disturbed();
    return {};
  }

  [[gnu::noinline]] Result<std::uint64_t> unmap_below(TablePlace place, Range range, Cut cut, Gather& gather) {
    return guarded([&]() -> Result<std::uint64_t> {
      bool const cuts = Splitter<F, M>(format_, memory_, place).cuts(range);
      TableNeeds needs;
      if (cuts) SWIOMMU_TRY(plan_cuts(memory_, place, range, cut, needs));
      if (!affords(range)) return over_budget();
      auto&& memory = memory_to_change();
      if (cuts) {
        TableStash<F, M> stash(format_, memory);
        SWIOMMU_TRY(stash.reserve(needs));
        gather.add_range(range);
        if (!cut_at_ends(memory, place, range, stash, gather)) return disturbed();
      }
      gather.add_range(range);
      Unmapper<F, M> unmapper(format_, memory);
      std::uint64_t const bytes = unmapper.clear(place.level, place.table, range, gather);
      if (!unmapper.is_complete() || exhausted(memory)) return disturbed();
      return bytes;
    });
  }

  template <class... Arguments>
  static std::unexpected<Error> failure(int code, char const* form, Arguments... arguments) {
    char text[192];
    std::snprintf(text, sizeof text, form, arguments...);
    return fail(code, text);
  }

  static std::unexpected<Error> beyond_inputs(Range range) {
    return failure(ERANGE, "[0x%" PRIx64 ", 0x%" PRIx64 "] is not within the table's inputs", range.start, range.last);
  }

  [[nodiscard]] TablePlace top() const { return {format_.geometry().top(), root_}; }

  [[nodiscard]] bool covers(Range range) const { return range.start <= range.last && shape_.contains(range); }

  // What a call looks at is counted where the owner of the tables may be an enemy.
  decltype(auto) memory_to_plan_in() const {
    if constexpr (BudgetedMemory<M>)
      return memory_.limited(memory_.budget());
    else
      return (memory_);
  }
  // Each word that was planned with is looked at twice at most, to count and to retire it, besides what splitting looks at.
  decltype(auto) memory_to_change() const {
    constexpr std::uint64_t splitting = 1 << 16;
    if constexpr (BudgetedMemory<M>)
      return memory_.limited(budget() < no_limit / 4 ? 2 * budget() + splitting : no_limit);
    else
      return (memory_);
  }
  static bool exhausted(M const& memory) {
    if constexpr (BudgetedMemory<M>) return memory.exhausted();
    return false;
  }
  // Are there no more words under the range than a call may look at?
  bool affords(Range range) const {
    if constexpr (!BudgetedMemory<M>) return true;
    auto const go_on = [](Leaf const&) { return true; };
    return this->visit(range, go_on, budget());
  }
  std::uint64_t budget() const {
    if constexpr (BudgetedMemory<M>) return memory_.budget();
    return no_limit;
  }
  static std::unexpected<Error> over_budget() {
    return fail(E2BIG, "the user page table holds more under this range than one call may look at");
  }

  // Only foreign tables: the rest of the change is there.
  static std::unexpected<Error> disturbed() {
    return fail(EFAULT, "the page table's memory was taken away or changed during the call");
  }

  bool may_map(Range range, std::uint64_t output, Attributes attributes, unsigned largest_leaf_lg2) const {
    std::uint64_t const last_output = output + (range.last - range.start);
    return (attributes.access.read || attributes.access.write) && covers(range) &&
           ((range.start | output | (range.last + 1)) & low_bits(smallest_lg2_)) == 0 && last_output >= output &&
           (last_output & ~low_bits(shape_.output_bits)) == 0 && largest_leaf_lg2 >= smallest_lg2_;
  }
  // Why not?
  [[gnu::noinline, gnu::cold]] Result<void> refused_map(Range range, std::uint64_t output, Attributes attributes,
                                                        unsigned largest_leaf_lg2) const {
    return guarded([&]() -> Result<void> {
      if (!attributes.access.read && !attributes.access.write) return fail(EINVAL, "a mapping must be readable or writable");
      if (!covers(range)) return beyond_inputs(range);
      std::uint64_t const small = low_bits(smallest_lg2_);
      if (((range.start | output | (range.last + 1)) & small) != 0)
        return failure(EINVAL, "[0x%" PRIx64 ", 0x%" PRIx64 "] to 0x%" PRIx64 " is not aligned to pages of 0x%" PRIx64 " bytes",
                       range.start, range.last, output, small + 1);
      if (largest_leaf_lg2 < smallest_lg2_)
        return failure(EINVAL, "leaves of 2^%u bytes at most: the smallest page has 2^%u", largest_leaf_lg2, smallest_lg2_);
      return failure(ERANGE, "output 0x%" PRIx64 " is beyond the %u bits that the table can name",
                     output + (range.last - range.start), shape_.output_bits);
    });
  }

  Result<void> plan_cuts(M& memory, TablePlace place, Range range, Cut cut, TableNeeds& needs) const {
    Splitter<F, M> const splitter(format_, memory, place);
    for (auto const& end : splitter.ends(range)) {
      auto const entry = splitter.straddling(end);
      if (!entry) continue;
      if (cut == Cut::refuse)
        return failure(EINVAL, "[0x%" PRIx64 ", 0x%" PRIx64 "] cuts the entry [0x%" PRIx64 ", 0x%" PRIx64 "]", range.start,
                       range.last, entry->start, entry->last);
      if (!is_aligned(end.boundary, smallest_lg2_))
        return failure(EINVAL, "0x%" PRIx64 " lies within the smallest page", end.boundary);
      SWIOMMU_TRY(splitter.plan(end, needs));
    }
    return {};
  }

  bool cut_at_ends(M& memory, TablePlace place, Range range, TableStash<F, M>& stash, Gather& gather) const {
    Splitter<F, M> splitter(format_, memory, place);
    return std::ranges::all_of(splitter.ends(range), [&](auto const& end) { return splitter.split(end, stash, gather); });
  }

  WalkStep step(unsigned level, std::uint64_t table, std::uint64_t index, std::optional<Entry> e) const {
    WalkStep step{.level = static_cast<std::uint8_t>(level),
                  .table = table,
                  .index = index,
                  .entry_address = table + index * sizeof(Entry),
                  .entry = e.value_or(0),
                  .reached = e.has_value(),
                  .kind = "unreachable",
                  .bits = {}};
    if (!e) return step;
    switch (format_.kind(*e, level)) {
      case EntryKind::empty: step.kind = "empty"; break;
      case EntryKind::table: step.kind = "table"; break;
      case EntryKind::leaf: step.kind = "leaf"; break;
      case EntryKind::malformed: step.kind = "malformed"; break;
    }
    step.bits = describe(*e);
    return step;
  }

  F format_;
  mutable M memory_;  // walks write accessed and dirty flags
  std::uint64_t root_;
  TableShape shape_;
  unsigned smallest_lg2_ = shape_.smallest_page_lg2();
  Walker<F> walker_;
};

}  // namespace swiommu
