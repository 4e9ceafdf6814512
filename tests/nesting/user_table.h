// The guest's driver: edits a user page table in guest memory, and keeps the model of what it says.
#pragma once
#include <optional>
#include <vector>

#include "nesting/guest.h"

namespace swiommu::nesting {

class UserTable {
 public:
  // In guest memory, with all its tables in `place`; `memory` and `random` stay the caller's.
  UserTable(FormatCase const& format, MemoryView const& memory, Range place, Random& random)
      : format_(format), words_(words_of(format.format)), memory_(memory), random_(random), pool_(place) {
    std::uint64_t const root = *pool_.allocate(words_.root_size_lg2);
    description = {.format = format.format, .root = root, .big_endian = format.big_endian};
    for (std::uint64_t i = 0; i < bit(words_.geometry.level[words_.geometry.top()].index_bits); i++)
      write(root + i * 8, words_.empty(words_.geometry.top()));
    table_ = *PageTable::open(description, memory, &pool_);
    page_lg2_ = table_->shape().smallest_page_lg2();
    find_windows();
  }

  UserPageTable description;
  UserModel model;

  [[nodiscard]] TableShape const& shape() const { return table_->shape(); }
  [[nodiscard]] unsigned page_lg2() const { return page_lg2_; }
  [[nodiscard]] std::vector<Range> const& windows() const { return windows_; }

  // An iova in one of the windows: what the table says about it is what the model says.
  [[nodiscard]] std::uint64_t any_iova() {
    Range const& window = any_of(random_, windows_);
    return window.start + below(random_, window.length());
  }

  // One edit. Returns the range that must be invalidated for it; nothing if nothing was changed.
  std::optional<Range> edit() {
    std::uint64_t const kind = below(random_, 16);
    if (kind < 4) return map(Existing::refuse);
    if (kind < 8) return map(Existing::replace);
    if (kind < 10) return change_rights();
    if (kind < 13) return unmap();
    return scribbles_.empty() || one_in(random_, 2) ? scribble() : mend(below(random_, scribbles_.size()));
  }

  // Everything that was retired may be used again: all is invalidated.
  void all_invalidated() { pool_.reuse(); }

 private:
  // A word that the guest has spoilt, for a time.
  struct Scribble {
    std::uint64_t address;
    std::uint64_t word;  // before
    Range range;
    UserModel::Values values;  // before
  };

  void write(std::uint64_t address, std::uint64_t word) {
    if (format_.big_endian) word = __builtin_bswap64(word);
    ASSERT_EQ(memory_.write(address, &word, sizeof(word)), sizeof(word));
  }

  // Places where tables begin and end: a few pages each.
  void find_windows() {
    TableShape const& shape = table_->shape();
    std::uint64_t const span = std::uint64_t{24} << page_lg2_;
    auto const add = [&](std::uint64_t center) {
      for (Range const& half : {shape.lower, shape.upper.value_or(shape.lower)}) {
        if (!half.contains(center)) continue;
        Range const window{center - half.start < span ? half.start : align_down(center - span, page_lg2_),
                           half.last - center < span ? half.last : center + span - 1};
        bool overlapping = false;
        for (Range const& other : windows_) overlapping = overlapping || other.overlaps(window);
        if (!overlapping) windows_.push_back(window);
      }
    };
    for (Range const& half : {shape.lower, shape.upper.value_or(shape.lower)}) {
      add(half.start);
      add(half.last);
      for (unsigned level = 1; level < words_.geometry.levels; level++) add(half.start + bit(words_.geometry.level[level].shift));
    }
  }

  Range any_pages() {
    Range const& window = any_of(random_, windows_);
    std::uint64_t const pages = window.length() >> page_lg2_;
    std::uint64_t const first = below(random_, pages),
                        count = 1 + below(random_,
                                          std::min<std::uint64_t>(pages - first, bit(static_cast<unsigned>(below(random_, 6)))));
    return {window.start + (first << page_lg2_), window.start + ((first + count) << page_lg2_) - 1};
  }

  // A range that a larger entry fits, at the start of a window's last table.
  std::optional<Range> any_large() {
    unsigned const largest = std::min(log2_floor(table_->shape().page_sizes & low_bits(22)), 21u);
    unsigned const lg2 = page_lg2_ + static_cast<unsigned>(below(random_, largest - page_lg2_ + 1));
    Range const range = Range::block(any_iova(), lg2);
    return table_->shape().contains(range) ? std::optional(range) : std::nullopt;
  }

  std::uint64_t any_output(std::uint64_t length) {
    std::uint64_t const alignment = std::max<std::uint64_t>(bit(page_lg2_), length & (length - 1) ? 0 : length);
    std::uint64_t const places = (Guest::data.length() + 2 * alignment) / alignment;
    return align_down(Guest::data.start, log2_floor(alignment)) - alignment + below(random_, places) * alignment;
  }

  std::optional<Range> map(Existing existing) {
    Range range = any_pages();
    if (one_in(random_, 6)) range = any_large().value_or(range);
    std::uint64_t const output = any_output(range.length());
    Access asked{!one_in(random_, 3), !one_in(random_, 2)};
    if (asked == Access{}) asked = Access::both();
    return apply(range, output, asked, existing);
  }

  std::optional<Range> change_rights() {
    std::uint64_t const iova = align_down(any_iova(), page_lg2_);
    UserValue const value = model.current(iova);
    if (!value.present) return std::nullopt;
    return apply({iova, iova + low_bits(page_lg2_)}, value.guest, one_in(random_, 2) ? Access::reading() : Access::both(),
                 Existing::replace);
  }

  std::optional<Range> apply(Range range, std::uint64_t output, Access asked, Existing existing) {
    Range const touched = mend_all(range);
    Gather gather;
    auto const mapped = table_->map(range, output, {.access = asked}, existing, Cut::split, gather);
    gather.finish();
    if (mapped)
      model.map(range, output, format_.rights(asked));
    else
      EXPECT_TRUE(mapped.error().code == ENOMEM || (existing == Existing::refuse && mapped.error().code == EEXIST))
          << mapped.error().message();
    return touched;
  }

  std::optional<Range> unmap() {
    Range range = any_pages();
    if (one_in(random_, 8)) range = any_large().value_or(range);
    Range const touched = mend_all(range);
    Gather gather;
    auto const unmapped = table_->unmap(range, Cut::split, gather);
    gather.finish();
    if (unmapped)
      model.unmap(range);
    else
      EXPECT_EQ(unmapped.error().code, ENOMEM) << unmapped.error().message();
    return touched;
  }

  // Overwrites one word on the way to an iova, the leaf's or a table's, with one that faults.
  std::optional<Range> scribble() {
    std::vector<WalkStep> steps;
    std::uint64_t const iova = any_iova();
    Walk const walk = *table_->explain(iova, {}, steps);
    WalkStep const& step = any_of(random_, steps);
    LevelShape const& level = words_.geometry.level[step.level];
    Range const range = Range::block(iova, level.shift);
    // An item of a run would spoil the run, in ways that the manuals leave open.
    if (!step.reached || (step.kind == "leaf" && walk.size_lg2 > level.shift)) return std::nullopt;
    for (Scribble const& other : scribbles_)
      if (other.range.overlaps(range)) return std::nullopt;
    std::uint64_t word = words_.empty(step.level);
    switch (below(random_, 3)) {
      case 0:
        do word = random_();
        while (words_.kind(word, step.level) != EntryKind::empty && words_.kind(word, step.level) != EntryKind::malformed);
        break;
      case 1:
        if (step.level > 0) word = words_.table(std::uint64_t{0x80000000} + (below(random_, 1 << 16) << 16), step.level);
        break;
      default: break;
    }
    write(step.entry_address, word);
    scribbles_.push_back({step.entry_address, step.entry, range, model.unmap(range)});
    return range;
  }

  Range mend(std::size_t n) {
    Scribble const old = scribbles_[n];
    scribbles_.erase(scribbles_.begin() + static_cast<std::ptrdiff_t>(n));
    write(old.address, old.word);
    for (auto const& [iova, value] : old.values) model.set(iova, value);
    return old.range;
  }
  // Before an edit: tables are edited in good order only. Returns what must be invalidated for this and the edit.
  Range mend_all(Range range) {
    Range touched = range;
    for (std::size_t n = 0; n < scribbles_.size();)
      if (scribbles_[n].range.overlaps(range)) {
        Range const mended = mend(n);
        touched = {std::min(touched.start, mended.start), std::max(touched.last, mended.last)};
      } else {
        n++;
      }
    return touched;
  }

  FormatCase format_;
  Words words_;
  MemoryView const& memory_;
  Random& random_;
  TablePool pool_;
  std::unique_ptr<PageTable> table_;
  unsigned page_lg2_ = 12;
  std::vector<Range> windows_;
  std::vector<Scribble> scribbles_;
};

}  // namespace swiommu::nesting
