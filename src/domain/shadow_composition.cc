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
         run.size_lg2 == next.size_lg2 && run.attributes == next.attributes && run.marked == next.marked &&
         // items of one entry have flags of their own
         (next.marked || (next.range.start & low_bits(next.size_lg2)) == 0);
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
  // Leaves that go on where the one before ends are done as one.
  step.words.joins = true;
  std::optional<Leaf> run;
  auto const compose_joined = [&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (run && run->range.start > step.progress.next) outcome = drop(run->range.start - 1, step);
    if (run && outcome && *outcome) outcome = compose_run(*run, step);
    run.reset();
    return outcome && *outcome;
  };
  auto const leaf_by_leaf = [&](Leaf const& leaf) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (run && goes_on(*run, leaf)) {
      run->range.last = leaf.range.last;
      return true;
    }
    if (!compose_joined()) return false;
    run = leaf;
    return true;
  };
  bool const reached = user_->visit_some(iovas, leaf_by_leaf, step.words);
  compose_joined();
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

// Leaves that go on from each other: those as one that leave the same rights once their flags are set.
Result<bool> ShadowDomain::compose_run(Leaf const& run, Step& step) {
  if (run.marked) return compose_leaf(run, run.attributes.access, step);
  Leaf part = run;
  Access rights = usable(part, run.range.start);
  for (std::uint64_t at = run.range.start;;) {
    std::uint64_t const last = std::min(run.range.last, at | low_bits(run.size_lg2));
    Access const next = last == run.range.last ? Access{} : usable(run, last + 1);
    if (last == run.range.last || next != rights) {
      part.range.last = last;
      auto const composed = compose_leaf(part, rights, step);
      if (!composed || !*composed || last == run.range.last) return composed;
      part.range.start = last + 1;
      part.output = run.output + (part.range.start - run.range.start);
      rights = next;
    }
    at = last + 1;
  }
}

// In as many pieces as the parent makes of it.
Result<bool> ShadowDomain::compose_leaf(Leaf const& leaf, Access rights, Step& step) {
  unsigned const smallest = shadow_->shape().smallest_page_lg2();
  if (leaf.size_lg2 > largest_leaf_lg2_.load(std::memory_order_relaxed))
    largest_leaf_lg2_.store(leaf.size_lg2, std::memory_order_relaxed);
  Attributes attributes = leaf.attributes;
  for (std::uint64_t at = leaf.range.start;;) {
    if (step.pieces == 0) return false;
    std::uint64_t const guest = leaf.output + (at - leaf.range.start);
    auto const [t, end] = usable_in_parent(guest, leaf.output + (leaf.range.last - leaf.range.start), rights, step);
    // What the shadow's smallest page is too large for (a parent that ends within a page) is left out.
    std::uint64_t const last = at + std::min(leaf.range.last - at, std::max(end, guest | low_bits(smallest)) - guest);
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
Access ShadowDomain::usable(Leaf const& leaf, std::uint64_t iova) const {
  Access const rights = leaf.attributes.access;
  for (Access const some : {rights, rights & Access::reading()})
    if (some != Access{} && user_->walk(iova, some, Update::yes).ok()) return some;
  return {};
}

// Of `guest`, and how far guest addresses go on from there: up to `last` or beyond.
ShadowDomain::Under ShadowDomain::usable_in_parent(std::uint64_t guest, std::uint64_t last, Access rights, Step& step) const {
  if (!step.under.ok() || !step.guest.contains(guest)) {
    step.under = parent()->translate(guest, {}, Update::no);
    step.guest = Range::block(guest, step.under.ok() ? step.under.size_lg2 : hole_lg2(*parent(), step.under));
    unsigned const smallest = shadow_->shape().smallest_page_lg2();
    if (step.under.ok() && step.under.size_lg2 >= smallest && !parent()->keeps_flags()) {
      // Not farther than one table of the parent goes: much of it may not be needed after all.
      std::uint64_t const end = parent()->end_of_run(guest, step.under, std::min(last, guest | low_bits(drop_lg2)));
      step.guest.last = std::max(step.guest.last, align_down(end + 1, smallest) - 1);
    }
    step.under.output -= guest - step.guest.start;
  }
  Translation t = step.under;
  t.output += guest - step.guest.start;
  t.attributes.access = t.attributes.access & rights;
  if (!t.ok() || t.attributes.access == Access{} || !parent()->keeps_flags()) return {t, step.guest.last};
  t = parent()->translate(guest, t.attributes.access, Update::yes);
  return {t, Range::block(guest, t.ok() ? t.size_lg2 : hole_lg2(*parent(), t)).last};
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
