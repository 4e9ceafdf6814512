// Of ShadowDomain: from the user page table and the parent to the shadow. Each function returns whether it has come to its end,
// or to that of the step's means.
#include <algorithm>

#include "domain/asked_memory.h"
#include "domain/shadow_step.h"

namespace swiommu {

namespace {

// The shadow is emptied in pieces of this size: a table of the lowest level, in most formats.
constexpr unsigned drop_lg2 = 21;

// Does `next` translate like `run`, as if it were more of it?
bool goes_on(Leaf const& run, Leaf const& next) {
  return run.range.last + 1 == next.range.start && run.output + run.range.length() == next.output &&
         run.size_lg2 == next.size_lg2 && run.attributes == next.attributes;
}

}  // namespace

Result<bool> ShadowDomain::compose_halves(Step& step) {
  TableShape const& shape = user_->shape();
  RefreshProgress& progress = step.progress;
  // What lies between and beyond the halves of the user's inputs is empty in the shadow anyhow.
  for (Range const& half : {shape.lower, shape.upper.value_or(shape.lower)}) {
    auto const part = half.intersection(progress.iovas);
    auto const inside = part ? part->intersection(limits().aperture) : std::nullopt;
    // Whole pages: what an aperture cuts off is refused when it is used.
    Range const pages = inside ? Range{align_down(inside->start, page_lg2()), inside->last | low_bits(page_lg2())} : Range{};
    if (inside && progress.next <= pages.last) {
      if (progress.next < pages.start) progress.next = progress.hole = pages.start;
      auto const composed = compose({progress.next, pages.last}, step);
      if (!composed || !*composed || pages.last == Range::all().last) return composed;
      progress.next = pages.last + 1;
    }
    if (!shape.upper) break;
  }
  return true;
}

Result<bool> ShadowDomain::compose(Range iovas, Step& step) {
  step.end = iovas.last;
  step.at_end = false;
  Result<bool> outcome = true;
  // Leaves that go on where the one before ends are done as one, unless each has flags of its own.
  bool const joins = !user_->shape().tracks_accessed && !user_->shape().tracks_dirty;
  step.words.joins = joins;
  std::optional<Leaf> run;
  auto const compose_run = [&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (run && run->range.start > step.progress.next) outcome = drop(run->range.start - 1, step);
    if (run && outcome && *outcome) outcome = compose_leaf(*run, step);
    run.reset();
    return outcome && *outcome;
  };
  auto const leaf_by_leaf = [&](Leaf const& leaf) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (joins && run && goes_on(*run, leaf)) {
      run->range.last = leaf.range.last;
      return true;
    }
    if (!compose_run()) return false;
    run = leaf;
    return true;
  };
  bool const reached = user_->visit_some(iovas, leaf_by_leaf, step.words);
  compose_run();
  if (!outcome || !*outcome || step.at_end) return outcome;
  // Up to where the visit came there is nothing more.
  if (reached) return drop(iovas.last, step);
  if (step.words.next > step.progress.next) outcome = drop(step.words.next - 1, step);
  return outcome ? Result<bool>(false) : outcome;
}

// Empties the shadow from where we are, and gives back the tables of which nothing is left.
Result<bool> ShadowDomain::drop(std::uint64_t last, Step& step) {
  while (step.pieces > 0) {
    std::uint64_t const at = step.progress.next;
    Walk const walk = shadow_->walk(at, {}, Update::no);
    Range const piece{at, std::min(last, Range::block(at, std::max<unsigned>(walk.size_lg2, drop_lg2)).last)};
    bool const has_table = walk.ok() || walk.level == 0;
    if (has_table) SWIOMMU_TRY(clear(piece, step));
    step.charge(has_table ? std::min<std::uint64_t>(piece.length() >> 12, 512) : 1);
    // The largest block that ends here and lies in the hole: tables in it became empty piece by piece.
    unsigned lg2 = std::min(alignment_lg2(piece.last + 1), 63u);
    while (lg2 >= drop_lg2 && Range::block(piece.last, lg2).start < step.progress.hole) lg2--;
    if (lg2 >= drop_lg2 && Range::block(piece.last, lg2) != piece) SWIOMMU_TRY(clear(Range::block(piece.last, lg2), step));
    step.advance(piece.last);
    if (piece.last == last) return true;
  }
  return false;
}

// A leaf of the user's table, or several that go on from each other, in as many pieces as the parent makes of it.
Result<bool> ShadowDomain::compose_leaf(Leaf const& leaf, Step& step) {
  unsigned const smallest = shadow_->shape().smallest_page_lg2();
  if (leaf.size_lg2 > largest_leaf_lg2_.load(std::memory_order_relaxed))
    largest_leaf_lg2_.store(leaf.size_lg2, std::memory_order_relaxed);
  Attributes attributes = leaf.attributes;
  Access const rights = usable(leaf);
  for (std::uint64_t at = leaf.range.start;;) {
    if (step.pieces == 0) return false;
    std::uint64_t const guest = leaf.output + (at - leaf.range.start);
    Translation const t = usable_in_parent(guest, rights, step);
    // What the shadow's smallest page is too large for (a parent that ends within a page) is left out.
    unsigned const size_lg2 = std::max<unsigned>(smallest, t.ok() ? t.size_lg2 : hole_lg2(*parent(), t));
    std::uint64_t const last = at + std::min(leaf.range.last - at, Range::block(guest, size_lg2).last - guest);
    asked_->note({guest, guest + (last - at)});
    step.charge(1 + shift_right(last - at, leaf.size_lg2));
    attributes.access = t.attributes.access & rights;
    attributes.coherent = leaf.attributes.coherent || t.attributes.coherent;
    bool there = t.ok() && t.size_lg2 >= smallest && attributes.access != Access{};
    if (there) {
      auto const set_there = set({at, last}, t.output, attributes, step);
      if (!set_there && set_there.error().code != ENOMEM) return std::unexpected(set_there.error());
      there = set_there.has_value();
      step.progress.missing = step.progress.missing || !there;
    }
    if (!there) SWIOMMU_TRY(clear({at, last}, step));
    step.advance(last);
    if (there) step.progress.hole = step.progress.next;
    if (last == leaf.range.last) return true;
    at = last + 1;
  }
}

// The rights that remain where using them must set flags: they are set now, because the leaf may be used from now on without
// our seeing it. A right whose flag cannot be written is none.
Access ShadowDomain::usable(Leaf const& leaf) const {
  Access const rights = leaf.attributes.access;
  if (!user_->shape().tracks_accessed && !user_->shape().tracks_dirty) return rights;
  for (Access const some : {rights, rights & Access::reading()})
    if (some != Access{} && user_->walk(leaf.range.start, some, Update::yes).ok()) return some;
  return {};
}

Translation ShadowDomain::usable_in_parent(std::uint64_t guest, Access rights, Step& step) const {
  if (!step.block.ok() || align_down(guest, step.block.size_lg2) != step.block_start) {
    step.block = parent()->translate(guest, {}, Update::no);
    step.block_start = align_down(guest, step.block.size_lg2);
    step.block.output -= guest - step.block_start;
  }
  Translation t = step.block;
  t.output += guest - step.block_start;
  t.attributes.access = t.attributes.access & rights;
  if (!t.ok() || t.attributes.access == Access{} || !parent()->keeps_flags()) return t;
  return parent()->translate(guest, t.attributes.access, Update::yes);
}

Result<void> ShadowDomain::set(Range iovas, std::uint64_t output, Attributes attributes, Step& step) {
  auto const different = shadow_->first_difference(iovas, output, attributes);
  if (!different) return {};
  Range const rest{*different, iovas.last};
  bool const was_empty = shadow_->visit(rest, [](Leaf const&) { return false; });
  SWIOMMU_TRY(shadow_->map(rest, output + (rest.start - iovas.start), attributes, Existing::replace, Cut::split, step.gather));
  changes_++;
  step.removed = step.removed || !was_empty;
  return {};
}

Result<void> ShadowDomain::clear(Range iovas, Step& step) {
  auto const bytes = shadow_->unmap(iovas, Cut::split, step.gather);
  if (!bytes) return std::unexpected(bytes.error());
  step.removed = step.removed || *bytes != 0;
  return {};
}

}  // namespace swiommu
