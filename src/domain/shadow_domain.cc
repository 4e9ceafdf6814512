#include "swiommu/domain/shadow_domain.h"

#include <algorithm>

namespace swiommu {

namespace {

std::unexpected<Error> over_budget() {
  return fail(E2BIG, "the user page table says more than one refresh of its shadow may take in");
}

}  // namespace

Result<std::shared_ptr<ShadowDomain>> ShadowDomain::create(std::shared_ptr<Domain> parent, UserPageTable const& table,
                                                           Limits limits, FormatConfiguration const& format,
                                                           std::uint64_t budget) {
  return guarded([&]() -> Result<std::shared_ptr<ShadowDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<ShadowDomain> domain(new ShadowDomain(host, parent, table, limits, budget));
    auto user = PageTable::open(table, *parent);
    if (!user) return std::unexpected(std::move(user).error());
    domain->user_ = std::move(*user);
    auto shadow = PageTable::create(format, host.tables);
    if (!shadow) return std::unexpected(std::move(shadow).error());
    domain->shadow_ = std::move(*shadow);
    SWIOMMU_TRY(domain->check_format());
    TableShape const& shape = domain->user_->shape();
    domain->flags_ = shape.tracks_accessed || shape.tracks_dirty || parent->keeps_flags();
    SWIOMMU_TRY(parent->add_listener(domain->epoch_));
    domain->listens_ = true;
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

ShadowDomain::~ShadowDomain() {
  leave_parent();
  if (listens_) parent()->remove_listener(epoch_);
}

Result<void> ShadowDomain::check_format() const {
  TableShape const &user = user_->shape(), &shadow = shadow_->shape();
  if (shadow.smallest_page_lg2() > user.smallest_page_lg2())
    return fail(EINVAL, "the format of a shadow must have pages as small as those of the user page table");
  for (Range const& half : {user.lower, user.upper.value_or(user.lower)})
    if (auto const part = half.intersection(limits().aperture); part && !shadow.contains(*part))
      return fail(EINVAL, "the format of a shadow must cover the inputs of the user page table");
  return {};
}

std::uint64_t ShadowDomain::untagged(std::uint64_t iova) const {
  return ignores_top_byte_ ? (iova & low_bits(56)) | (user_->shape().lower.start & ~low_bits(56)) : iova;
}

Translation ShadowDomain::look_up(std::uint64_t input, Access access, Update update) const {
  Walk const walk = shadow_->walk(untagged(input), access, update);
  if (!walk.ok()) {
    // The shadow only knows that there is nothing. The user's own table says why, unless it was changed since.
    Translation const t = through_parent(*this, user_->walk(input, access, Update::no), access, Update::no);
    return t.ok() ? Translation{.reason = walk.reason, .where = this, .walk = walk} : t;
  }
  return {.reason = Reason::none,
          .where = this,
          .walk = walk,
          .output = walk.output,
          .size_lg2 = walk.size_lg2,
          .attributes = walk.attributes};
}

Result<void> ShadowDomain::refresh(Range iovas) {
  SWIOMMU_TRY(refuse_inside_guard());
  if (ignores_top_byte_)
    iovas = iovas.start >> 56 == iovas.last >> 56 ? Range{untagged(iovas.start), untagged(iovas.last)} : Range::all();
  return bring_up_to_date(iovas);
}

void ShadowDomain::parent_lost(Range) noexcept {
  // Which iovas lead to these guest addresses is not known. Running out of memory empties the shadow: that is safe.
  (void)bring_up_to_date(Range::all());
}

void ShadowDomain::parent_gained(Range) noexcept { (void)bring_up_to_date(Range::all()); }

Result<void> ShadowDomain::bring_up_to_date(Range iovas) noexcept {
  Lock const lock(mutex_);
  Gather gather;
  left_ = budget_;
  epoch_.enter();
  Result<bool> outcome = guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS { return compose_halves(iovas, gather); });
  epoch_.leave();
  if (!outcome) {
    // Takes no memory, so it cannot fail.
    iovas = Range::all();
    (void)shadow_->unmap(shadow_->shape().lower, Cut::refuse, gather);
    if (shadow_->shape().upper) (void)shadow_->unmap(*shadow_->shape().upper, Cut::refuse, gather);
  }
  if (!outcome || *outcome) {
    make_stale(iovas);
    wait_for_listeners();
  } else if (gather.has_tables()) {
    wait_for_listeners();
  }
  gather.finish();
  if (!outcome) return std::unexpected(std::move(outcome).error());
  tell_gained(iovas);
  return {};
}

// Each of the functions below returns whether it took away or changed a translation that was there.
Result<bool> ShadowDomain::compose_halves(Range iovas, Gather& gather) {
  TableShape const& shape = user_->shape();
  unsigned const page_lg2 = std::max(shape.smallest_page_lg2(), shadow_->shape().smallest_page_lg2());
  bool removed = false;
  // What lies between and beyond the halves of the user's inputs is empty in the shadow anyhow.
  for (Range const& half : {shape.lower, shape.upper.value_or(shape.lower)}) {
    auto const part = half.intersection(iovas);
    if (auto const inside = part ? part->intersection(limits().aperture) : std::nullopt) {
      // Whole pages: what an aperture cuts off is refused when it is used.
      auto const composed = compose({align_down(inside->start, page_lg2), inside->last | low_bits(page_lg2)}, gather);
      if (!composed) return composed;
      removed = removed || *composed;
    }
    if (!shape.upper) break;
  }
  return removed;
}

Result<bool> ShadowDomain::compose(Range iovas, Gather& gather) {
  bool removed = false;
  std::uint64_t next = iovas.start;  // first iova that is not dealt with
  bool done = false;
  Result<bool> failure = false;
  auto const step = [&](Result<bool> outcome) {
    if (outcome)
      removed = removed || *outcome;
    else
      failure = std::move(outcome);
    return failure.has_value();
  };
  auto const leaf_by_leaf = [&](Leaf const& leaf) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (leaf.range.start > next && !step(drop({next, leaf.range.start - 1}, gather))) return false;
    if (!step(compose_leaf(leaf, gather))) return false;
    done = leaf.range.last == iovas.last;
    next = leaf.range.last + 1;
    return true;
  };
  bool const reached = user_->visit(iovas, leaf_by_leaf, left_);
  if (!failure) return failure;
  if (!reached) return over_budget();
  if (!done && !step(drop({next, iovas.last}, gather))) return failure;
  return removed;
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

Translation ShadowDomain::usable_in_parent(std::uint64_t guest, Access rights) const {
  Translation t = parent()->translate(guest, {}, Update::no);
  t.attributes.access = t.attributes.access & rights;
  if (!t.ok() || t.attributes.access == Access{} || !parent()->keeps_flags()) return t;
  return parent()->translate(guest, t.attributes.access, Update::yes);
}

// One leaf of the user's table, in as many pieces as the parent makes of it.
Result<bool> ShadowDomain::compose_leaf(Leaf const& leaf, Gather& gather) {
  bool removed = false;
  unsigned const smallest = shadow_->shape().smallest_page_lg2();
  Attributes attributes = leaf.attributes;
  Access const rights = usable(leaf);
  for (std::uint64_t at = leaf.range.start;;) {
    if (left_ == 0) return over_budget();
    left_--;
    std::uint64_t const guest = leaf.output + (at - leaf.range.start);
    Translation const t = usable_in_parent(guest, rights);
    // What the shadow's smallest page is too large for (a parent that ends within a page) is left out.
    unsigned const size_lg2 = std::max<unsigned>(smallest, t.ok() ? t.size_lg2 : hole_lg2(*parent(), t));
    std::uint64_t const last = at + std::min(leaf.range.last - at, Range::block(guest, size_lg2).last - guest);
    attributes.access = t.attributes.access & rights;
    attributes.coherent = leaf.attributes.coherent || t.attributes.coherent;
    bool const fits = t.ok() && t.size_lg2 >= smallest && attributes.access != Access{};
    Result<bool> const outcome = fits ? set({at, last}, t.output, attributes, gather) : drop({at, last}, gather);
    if (!outcome) return outcome;
    removed = removed || *outcome;
    if (last == leaf.range.last) return removed;
    at = last + 1;
  }
}

Result<bool> ShadowDomain::set(Range iovas, std::uint64_t output, Attributes attributes, Gather& gather) {
  for (std::uint64_t at = iovas.start;;) {
    Walk const walk = shadow_->walk(at, {}, Update::no);
    std::uint64_t const wanted = output + (at - iovas.start);
    if (!walk.ok() || walk.output != wanted || walk.attributes.access != attributes.access ||
        walk.attributes.coherent != attributes.coherent) {
      bool const was_there = walk.ok();
      auto mapped = shadow_->map({at, iovas.last}, wanted, attributes, Existing::replace, Cut::split, gather);
      if (!mapped) return std::unexpected(std::move(mapped).error());
      // What lay further on in the range was not looked at: it may have been there.
      return was_there || at != iovas.last;
    }
    std::uint64_t const last = Range::block(at, walk.size_lg2).last;
    if (last >= iovas.last) return false;
    at = last + 1;
  }
}

Result<bool> ShadowDomain::drop(Range iovas, Gather& gather) {
  auto const bytes = shadow_->unmap(iovas, Cut::split, gather);
  if (!bytes) return std::unexpected(bytes.error());
  return *bytes != 0 || iovas == Range::all();
}

}  // namespace swiommu
