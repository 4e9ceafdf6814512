// What a port does about pages that are missing (PCIe PRI).
#include "device/page_waits.h"
#include "swiommu/base/bits.h"
#include "swiommu/device/port.h"

namespace swiommu {
namespace {

// Pages that one group of page requests asks for at most.
constexpr unsigned most_pages = 16;

// Could whoever writes the table have meant to fill it in later? What is wrong with a table, or missing under it, stays so.
bool may_be_asked_for(Reason reason) {
  return reason == Reason::not_mapped || reason == Reason::permission || reason == Reason::access_flag;
}

}  // namespace

bool Port::ask_for_page(FaultRecord const& fault, std::optional<std::uint32_t>& pending) {
  return ask_for_pages(fault, fault.iova, pending);
}

// Is it something that a page request can mend? Sets no flags, and caches nothing.
bool Port::misses(std::uint64_t iova, Access access, std::optional<Pasid> pasid) {
  Guard const guard(*this);
  Serving const found = serving(pasid);
  if (found.attachment == nullptr) return false;
  Domain const& domain = *found.attachment->domain;
  Translation const t = domain.translate(iova, access, Update::no, found.directed);
  return may_be_asked_for(t.reason) && t.where == &domain;
}

// One group for all that is missing between the fault and `last`, within limits.
bool Port::ask_for_pages(FaultRecord const& fault, std::uint64_t last, std::optional<std::uint32_t>& pending) {
  pending.reset();
  if (on_missing_page_ == OnMissingPage::fault || guards_held() != 0) return false;
  if (fault.depth != 0 || !may_be_asked_for(fault.reason)) return false;
  auto const target = device_->page_waits_->target();
  if (!target) return false;
  bool const waits = on_missing_page_ == OnMissingPage::wait;
  auto const group = device_->page_waits_->begin(waits);
  if (!group) return false;

  constexpr std::uint64_t page = 4096;
  PageRequest request{.pasid = fault.pasid,
                      .group = *group,
                      .last = false,
                      .read = fault.access.read,
                      .write = fault.access.write,
                      .iova = align_down(fault.iova, 12)};
  for (unsigned n = 1; n < most_pages && last - request.iova >= page; n++) {
    if (!misses(request.iova + page, fault.access, fault.pasid)) break;
    // what is not asked for now is missed again later
    (void)target->report(request);
    request.iova += page;
  }
  request.last = true;
  bool const reported = target->report(request).has_value();
  if (waits) return device_->page_waits_->await(*group) == PageResponse::Code::success;
  if (reported) pending = group;
  return false;
}

}  // namespace swiommu
