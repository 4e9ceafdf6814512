#include "swiommu/domain/shadow_domain.h"

#include <algorithm>

namespace swiommu {

Result<std::shared_ptr<ShadowDomain>> ShadowDomain::create(std::shared_ptr<Domain> parent, UserPageTable const& table, Limits limits,
                                                           FormatConfiguration const& format) {
  return guarded([&]() -> Result<std::shared_ptr<ShadowDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<ShadowDomain> domain(new ShadowDomain(host, parent, limits));
    auto user = PageTable::open(table, *parent);
    if (!user) return std::unexpected(std::move(user).error());
    domain->user_ = std::move(*user);
    auto shadow = PageTable::create(format, host.tables);
    if (!shadow) return std::unexpected(std::move(shadow).error());
    domain->shadow_ = std::move(*shadow);
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

Translation ShadowDomain::look_up(std::uint64_t input, Access access, Update update) const {
  Walk const walk = shadow_->walk(input, access, update);
  if (!walk.ok()) {
    // The shadow only knows that there is nothing. The user's own table says why, unless it was changed since.
    Translation const t = through_parent(*this, user_->walk(input, access, Update::no), access, Update::no);
    return t.ok() ? Translation{.reason = Reason::not_mapped, .where = this, .walk = walk} : t;
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
  epoch_.enter();
  Result<bool> outcome = guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS { return compose_halves(iovas, gather); });
  epoch_.leave();
  if (!outcome) {  // taking away everything takes no memory, so it cannot fail
    TableShape const& shape = shadow_->shape();
    (void)shadow_->unmap(shape.lower, Cut::refuse, gather);
    if (shape.upper) (void)shadow_->unmap(*shape.upper, Cut::refuse, gather);
  }
  if (!outcome || *outcome) {
    make_stale(outcome ? iovas : Range::all());
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
    if (outcome) removed = removed || *outcome;
    else failure = std::move(outcome);
    return failure.has_value();
  };
  user_->visit(iovas, [&](Leaf const& leaf) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
    if (leaf.range.start > next && !step(drop({next, leaf.range.start - 1}, gather))) return false;
    if (!step(compose_leaf(leaf, gather))) return false;
    done = leaf.range.last == iovas.last;
    next = leaf.range.last + 1;
    return true;
  });
  if (!failure) return failure;
  if (!done && !step(drop({next, iovas.last}, gather))) return failure;
  return removed;
}

// One leaf of the user's table, in as many pieces as the parent makes of it.
Result<bool> ShadowDomain::compose_leaf(Leaf const& leaf, Gather& gather) {
  bool removed = false;
  if (user_->shape().tracks_accessed || user_->shape().tracks_dirty)
    (void)user_->walk(leaf.range.start, leaf.attributes.access, Update::yes);  // it may be used from now on without our seeing it
  for (std::uint64_t at = leaf.range.start;;) {
    std::uint64_t const guest = leaf.output + (at - leaf.range.start);
    // The parent's flags are set as well: nobody sees what a device writes through the shadow. So all that it can write
    // counts as written again after each harvest, which brings the shadow up to date.
    Translation t = parent()->translate(guest, leaf.attributes.access, Update::yes);
    if (t.reason == Reason::permission) {
      t = parent()->translate(guest, {}, Update::no);
      if (t.ok()) t = parent()->translate(guest, t.attributes.access & leaf.attributes.access, Update::yes);
    }
    std::uint64_t const rest = leaf.range.last - at;  // less one
    std::uint64_t const block = Range::block(guest, t.ok() ? t.size_lg2 : hole_lg2(*parent(), t)).last - guest;
    std::uint64_t const last = at + std::min(rest, block);
    Result<bool> outcome = false;
    if (t.ok() && (t.attributes.access & leaf.attributes.access) != Access{}) {
      Attributes attributes = leaf.attributes;
      attributes.access = attributes.access & t.attributes.access;
      outcome = set({at, last}, t.output, attributes, gather);
    } else {
      outcome = drop({at, last}, gather);
    }
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
