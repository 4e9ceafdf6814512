// What a page table ought to hold, kept as a map of entries, with nothing of the engine in it.
#pragma once
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <vector>

#include "swiommu/base/bits.h"
#include "swiommu/base/range.h"
#include "swiommu/page_table/attributes.h"
#include "swiommu/page_table/change.h"

namespace swiommu::conformance {

struct ModelEntry {
  unsigned size_lg2 = 0;
  std::uint64_t output = 0;
  Attributes attributes;
  bool accessed = false;
  bool dirty = false;
};

class Model {
 public:
  using Entries = std::map<std::uint64_t, ModelEntry>;  // by their first input

  // `sizes`: bit n for entries of 2^n bytes. Attributes are stored as given.
  explicit Model(std::uint64_t sizes) : sizes_(sizes) {}

  [[nodiscard]] Entries const& entries() const { return entries_; }

  [[nodiscard]] static Range range_of(Entries::value_type const& e) { return {e.first, e.first + low_bits(e.second.size_lg2)}; }

  // The entry that holds `input`.
  [[nodiscard]] Entries::const_iterator find(std::uint64_t input) const {
    auto at = entries_.upper_bound(input);
    if (at == entries_.begin()) return entries_.end();
    --at;
    return range_of(*at).contains(input) ? at : entries_.end();
  }

  [[nodiscard]] bool overlaps(Range range) const {
    if (find(range.start) != entries_.end()) return true;
    auto const next = entries_.lower_bound(range.start);
    return next != entries_.end() && next->first <= range.last;
  }

  // The smallest range that holds all that is mapped in `range`.
  [[nodiscard]] std::optional<Range> hull(Range range) const {
    auto first = find(range.start), last = find(range.last);
    if (first == entries_.end()) first = entries_.lower_bound(range.start);
    if (first == entries_.end() || first->first > range.last) return std::nullopt;
    if (last == entries_.end()) last = std::prev(entries_.lower_bound(range.last));
    return Range{range_of(*first).start, range_of(*last).last}.intersection(range);
  }

  // Does an entry hold both boundary - 1 and boundary?
  [[nodiscard]] bool straddles(std::uint64_t boundary) const {
    auto const at = find(boundary);
    return at != entries_.end() && at->first != boundary;
  }

  // The errno that a change of `range` gives, or 0. Alignment and limits are checked elsewhere.
  [[nodiscard]] int refuses_cut(Range range, Cut cut) const {
    for (std::uint64_t const boundary : {range.start, range.last + 1}) {
      if (boundary == 0 || !straddles(boundary)) continue;
      if (cut == Cut::refuse || !is_aligned(boundary, alignment_lg2(sizes_))) return EINVAL;
    }
    return 0;
  }

  int map(Range range, std::uint64_t output, Attributes attributes, Existing existing, Cut cut, bool accessed = false) {
    if (existing == Existing::refuse) {
      if (overlaps(range)) return EEXIST;
    } else {
      if (int const refused = refuses_cut(range, cut)) return refused;
      remove(range);
    }
    put(range, {.output = output, .attributes = attributes, .accessed = accessed});
    return 0;
  }

  int unmap(Range range, Cut cut, std::uint64_t& bytes) {
    bytes = 0;
    if (int const refused = refuses_cut(range, cut)) return refused;
    bytes = remove(range);
    return 0;
  }

  void access(std::uint64_t input, bool accessed, bool dirty) {
    auto const at = entries_.find(find(input)->first);
    at->second.accessed |= accessed;
    at->second.dirty |= dirty;
  }

  // The ranges whose flag is set, those that touch joined.
  std::vector<Range> read_flags(bool ModelEntry::* flag, Range range, bool clear) {
    std::vector<Range> set;
    for (auto& e : entries_) {
      Range const whole = range_of(e);
      auto const part = whole.intersection(range);
      if (!part || !(e.second.*flag)) continue;
      if (clear && range.contains(whole)) e.second.*flag = false;
      add_joined(set, *part);
    }
    return set;
  }

  static void add_joined(std::vector<Range>& ranges, Range range) {
    if (!ranges.empty() && ranges.back().last + 1 == range.start)
      ranges.back().last = range.last;
    else
      ranges.push_back(range);
  }

  // The largest size that may start at `at`: address, output and what is left allow it.
  [[nodiscard]] unsigned largest(std::uint64_t at, std::uint64_t output, std::uint64_t last) const {
    for (unsigned lg2 = 63; lg2 > 0; lg2--)
      if ((sizes_ >> lg2 & 1) != 0 && is_aligned(at | output, lg2) && low_bits(lg2) <= last - at) return lg2;
    return 0;
  }

 private:
  // Fills `range` with the largest entries, like `first` but for size and output.
  void put(Range range, ModelEntry first) {
    for (std::uint64_t at = range.start;;) {
      ModelEntry e = first;
      e.output = first.output + (at - range.start);
      e.size_lg2 = largest(at, e.output, range.last);
      entries_.emplace(at, e);
      std::uint64_t const last = at + low_bits(e.size_lg2);
      if (last == range.last) return;
      at = last + 1;
    }
  }

  void split(std::uint64_t boundary) {
    if (boundary == 0 || !straddles(boundary)) return;
    auto const at = find(boundary);
    Range const whole = range_of(*at);
    ModelEntry const e = at->second;
    entries_.erase(at);
    put({whole.start, boundary - 1}, e);
    ModelEntry right = e;
    right.output += boundary - whole.start;
    put({boundary, whole.last}, right);
  }

  std::uint64_t remove(Range range) {
    split(range.start);
    split(range.last + 1);
    std::uint64_t bytes = 0;
    auto const first = entries_.lower_bound(range.start);
    auto last = first;
    for (; last != entries_.end() && last->first <= range.last; ++last) bytes += bit(last->second.size_lg2);
    entries_.erase(first, last);
    return bytes;
  }

  std::uint64_t sizes_;
  Entries entries_;
};

}  // namespace swiommu::conformance
