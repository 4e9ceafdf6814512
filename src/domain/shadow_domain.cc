#include "swiommu/domain/shadow_domain.h"

#include <algorithm>

#include "domain/asked_memory.h"
#include "domain/shadow_step.h"

namespace swiommu {

ShadowDomain::ShadowDomain(Host const& host, std::shared_ptr<Domain> const& parent, UserPageTable const& table, Limits limits,
                           std::uint64_t budget)
    : Domain(host, parent, limits),
      asked_(std::make_unique<AskedMemory>(*parent)),
      ignores_top_byte_(table.format.format == FormatName::arm_stage1 && table.format.top_byte_ignored),
      budget_(budget),
      epoch_(host.grace) {}

Result<std::shared_ptr<ShadowDomain>> ShadowDomain::create(std::shared_ptr<Domain> parent, UserPageTable const& table,
                                                           Limits limits, FormatConfiguration const& format, std::uint64_t budget,
                                                           std::shared_ptr<TableAllocator> const& tables) {
  return guarded([&]() -> Result<std::shared_ptr<ShadowDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<ShadowDomain> domain(new ShadowDomain(host, parent, table, limits, budget));
    auto user = PageTable::open(table, *domain->asked_);
    if (!user) return std::unexpected(std::move(user).error());
    domain->user_ = std::move(*user);
    auto why = PageTable::open(table, *parent);
    if (!why) return std::unexpected(std::move(why).error());
    domain->why_ = std::move(*why);
    auto shadow = PageTable::create(format, tables ? tables : host.tables);
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

unsigned ShadowDomain::page_lg2() const {
  return std::max(user_->shape().smallest_page_lg2(), shadow_->shape().smallest_page_lg2());
}

Translation ShadowDomain::look_up(std::uint64_t input, Access access, Update update, ParentReader*) const {
  Walk const walk = shadow_->walk(untagged(input), access, update);
  if (!walk.ok()) {
    // The shadow only knows that there is nothing. The user's own table says why, unless it was changed since.
    Translation const t = through_parent(*this, why_->walk(input, access, Update::no), access, Update::no);
    return t.ok() ? Translation{.reason = walk.reason, .where = this, .walk = walk} : t;
  }
  return {.reason = Reason::none,
          .where = this,
          .walk = walk,
          .output = walk.output,
          .size_lg2 = walk.size_lg2,
          .attributes = walk.attributes};
}

RefreshProgress ShadowDomain::begin_refresh(Range iovas) const {
  if (ignores_top_byte_)
    iovas = iovas.start >> 56 == iovas.last >> 56 ? Range{untagged(iovas.start), untagged(iovas.last)} : Range::all();
  // Naming one iova of a leaf means all of the leaf, which may be gone by now.
  unsigned const block_lg2 = std::max(page_lg2(), largest_leaf_lg2_.load(std::memory_order_relaxed));
  iovas = {align_down(iovas.start, block_lg2), iovas.last | low_bits(block_lg2)};
  return {.iovas = iovas, .next = iovas.start, .hole = iovas.start};
}

Result<bool> ShadowDomain::refresh_some(RefreshProgress& progress, std::uint64_t words) {
  SWIOMMU_TRY(refuse_inside_guard());
  return step(progress, std::max<std::uint64_t>(words, 16));
}

Result<void> ShadowDomain::refresh(Range iovas) {
  SWIOMMU_TRY(refuse_inside_guard());
  RefreshProgress progress = begin_refresh(iovas);
  SWIOMMU_TRY(all_steps(progress));
  if (!progress.missing) return {};
  empty(progress.iovas);
  return out_of_memory();
}

void ShadowDomain::follow_parent(Range guest) noexcept {
  {
    // A step that is on its way has asked for all that it uses when it gives up the mutex, and the parent has changed already.
    Lock const lock(mutex_);
    if (!asked_->concerns(guest)) return;
  }
  // Which iovas lead to these guest addresses is not known. If this fails the shadow is empty: that is safe.
  RefreshProgress progress = begin_refresh(Range::all());
  (void)all_steps(progress);
}

Result<void> ShadowDomain::all_steps(RefreshProgress& progress) noexcept {
  for (std::uint64_t left = budget_; left > 0;) {
    std::uint64_t const words = std::min(left, default_step);
    auto const done = step(progress, words);
    if (!done) return std::unexpected(done.error());
    if (*done) return {};
    left -= words;
  }
  empty(progress.iovas);
  return fail(E2BIG, "the user page table says more than one refresh of its shadow may take in");
}

Result<bool> ShadowDomain::step(RefreshProgress& progress, std::uint64_t words) noexcept {
  if (progress.finished) return true;
  Lock const lock(mutex_);
  if (progress.changes != changes_) progress.hole = progress.next;
  Step step(progress, words);
  epoch_.enter();
  Result<bool> outcome = guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS { return compose_halves(step); });
  asked_->forget_row();
  epoch_.leave();
  if (!outcome) unmap_all(step.gather);
  progress.changes = changes_;
  progress.given_back = progress.given_back || step.gather.has_tables();
  finish(step.gather, outcome ? progress.iovas : Range::all(), step.removed || !outcome);
  if (!outcome || !*outcome) return outcome;
  progress.finished = !progress.missing || !progress.given_back || progress.second_pass;
  if (!progress.finished)
    progress = {.iovas = progress.iovas,
                .next = progress.iovas.start,
                .hole = progress.iovas.start,
                .changes = changes_,
                .second_pass = true};
  return progress.finished;
}

void ShadowDomain::finish(Gather& gather, Range iovas, bool removed) noexcept {
  if (removed) make_stale(iovas);
  if (removed || gather.has_tables()) wait_for_listeners();
  gather.finish();
  tell_gained(iovas);
}

void ShadowDomain::unmap_all(Gather& gather) noexcept {
  // Cuts nothing, so that it takes no memory and cannot fail.
  (void)shadow_->unmap(shadow_->shape().lower, Cut::refuse, gather);
  if (shadow_->shape().upper) (void)shadow_->unmap(*shadow_->shape().upper, Cut::refuse, gather);
}

void ShadowDomain::empty(Range iovas) noexcept {
  Lock const lock(mutex_);
  Gather gather;
  TableShape const& shape = shadow_->shape();
  for (Range const& half : {shape.lower, shape.upper.value_or(shape.lower)})
    if (auto const part = half.intersection(iovas); part && !shadow_->unmap(*part, Cut::split, gather)) unmap_all(gather);
  finish(gather, Range::all(), true);
}

}  // namespace swiommu
