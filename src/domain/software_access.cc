#include "swiommu/domain/software_access.h"

#include <fmt/format.h>

#include <algorithm>

#include "domain/io_address_space_state.h"

namespace swiommu {
namespace {

Result<Range> range_of(std::uint64_t iova, std::uint64_t length) {
  if (length == 0) return fail(EINVAL, "an access to no bytes");
  auto const range = Range::of_length(iova, length);
  if (!range) return fail(EOVERFLOW, fmt::format("{:#x} bytes at iova {:#x} leave the 64-bit space", length, iova));
  return *range;
}

}  // namespace

Result<std::shared_ptr<SoftwareAccess>> SoftwareAccess::create(Use use, Unmapping unmapping) {
  return guarded([&]() -> Result<std::shared_ptr<SoftwareAccess>> {
    return std::shared_ptr<SoftwareAccess>(new SoftwareAccess(use, std::move(unmapping)));
  });
}

SoftwareAccess::~SoftwareAccess() {
  Lock const lock(mutex_);
  if (!pinned_) return;
  for (Range const pin : pins_) pinned_->unpin(pin, use_ == Use::locks);
  pinned_->leave(number_);
}

std::shared_ptr<IoAddressSpace> SoftwareAccess::space() const {
  Lock const lock(mutex_);
  return space_;
}

Result<std::shared_ptr<IoAddressSpace>> SoftwareAccess::usable() const {
  auto space = this->space();
  if (!space) return fail(ENOENT, "the access is attached to no address space");
  return space;
}

Result<void> SoftwareAccess::change(std::shared_ptr<IoAddressSpace> to) {
  return guarded([&]() -> Result<void> {
    SWIOMMU_TRY(refuse_inside_guard());
    std::shared_ptr<IoAddressSpace> from;
    {
      Lock const lock(mutex_);
      if (space_ != pinned_) return fail(EBUSY, "the access is just being attached elsewhere");
      if (to == space_) return {};
      from = std::exchange(space_, nullptr);
      // Marks that a change is under way also where there was nothing.
      if (!from) pinned_ = to;
    }
    std::uint64_t number = 0;
    if (to) {
      auto joined = to->join(weak_from_this(), use_ != Use::copies);
      if (!joined) {
        Lock const lock(mutex_);
        space_ = from;
        pinned_ = from;
        return std::unexpected(std::move(joined).error());
      }
      number = *joined;
    }
    if (from && use_ != Use::locks && unmapping_) unmapping_(Range::all());
    Lock const lock(mutex_);
    if (from) {
      for (Range const pin : pins_) from->unpin(pin, use_ == Use::locks);
      pins_.clear();
      from->leave(number_);
    }
    space_ = to;
    pinned_ = std::move(to);
    number_ = number;
    return {};
  });
}

Result<void> SoftwareAccess::attach(std::shared_ptr<IoAddressSpace> space) {
  if (!space) return fail(EINVAL, "no address space to attach to");
  if (this->space()) return fail(EINVAL, "the access is attached already");
  return change(std::move(space));
}

Result<void> SoftwareAccess::replace(std::shared_ptr<IoAddressSpace> space) {
  if (!space) return fail(EINVAL, "no address space to attach to");
  SWIOMMU_TRY(usable());
  return change(std::move(space));
}

Result<void> SoftwareAccess::detach() {
  SWIOMMU_TRY(usable());
  return change(nullptr);
}

Result<std::vector<PagesSlice>> SoftwareAccess::pin(std::uint64_t iova, std::uint64_t length, bool write) {
  return guarded([&]() -> Result<std::vector<PagesSlice>> {
    if (use_ == Use::copies) return fail(EINVAL, "an access that does not pin");
    auto const range = range_of(iova, length);
    if (!range) return std::unexpected(range.error());
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    if (!space_) return fail(ENOENT, "the access is attached to no address space");
    pins_.reserve(pins_.size() + 1);
    auto slices = space_->pin(*range, write, use_ == Use::locks);
    if (slices) pins_.push_back(*range);
    return slices;
  });
}

void SoftwareAccess::unpin(std::uint64_t iova, std::uint64_t length) noexcept {
  auto const range = Range::of_length(iova, length);
  if (!range) return;
  Lock const lock(mutex_);
  auto const at = std::ranges::find(pins_, *range);
  if (at == pins_.end()) return;
  *at = pins_.back();
  pins_.pop_back();
  pinned_->unpin(*range, use_ == Use::locks);
}

Result<void> SoftwareAccess::read(std::uint64_t iova, std::span<std::byte> to) {
  auto const range = range_of(iova, to.size());
  if (!range) return std::unexpected(range.error());
  SWIOMMU_TRY(refuse_inside_guard());
  Lock const lock(mutex_);
  if (!space_) return fail(ENOENT, "the access is attached to no address space");
  return space_->read(*range, to.data());
}

Result<void> SoftwareAccess::write(std::uint64_t iova, std::span<std::byte const> from) {
  auto const range = range_of(iova, from.size());
  if (!range) return std::unexpected(range.error());
  SWIOMMU_TRY(refuse_inside_guard());
  Lock const lock(mutex_);
  if (!space_) return fail(ENOENT, "the access is attached to no address space");
  return space_->write(*range, from.data());
}

}  // namespace swiommu
