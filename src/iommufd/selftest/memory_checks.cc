// Does the IOMMU lead to the memory that was mapped, and is that pinned as often as it should be? Asked of the page tables and of
// the ledger of pins themselves.
#include <fmt/format.h>

#include "iommufd/hwpt.h"
#include "iommufd/selftest/caller_pages.h"
#include "iommufd/selftest/operations.h"

namespace swiommu::iommufd::selftest {
namespace {

// Translations of a domain that no unmapping overtakes, as a port's guard does it.
class Walker {
 public:
  explicit Walker(PagingDomain& domain) : domain_(domain), epoch_(domain.host().grace) {}
  Walker(Walker const&) = delete;
  Walker& operator=(Walker const&) = delete;
  ~Walker() {
    if (epoch_.active()) epoch_.leave();
    if (listens_) domain_.remove_listener(epoch_);
  }
  Result<void> start() {
    SWIOMMU_TRY(domain_.add_listener(epoch_));
    listens_ = true;
    epoch_.enter();
    return {};
  }

 private:
  PagingDomain& domain_;
  Epoch epoch_;
  bool listens_ = false;
};

}  // namespace

Result<void> check_map(TestCall const& call) {
  auto const [iova, length, address] = call.arguments().check_map;
  auto const hwpt = call.file().objects().find<HwptPaging>(call.arguments().id);
  if (!hwpt) return std::unexpected(hwpt.error());
  PagingDomain& domain = *(*hwpt)->domain();
  std::uint64_t const step = bit(domain.shape().smallest_page_lg2());
  if (((iova | length | address) & (step - 1)) != 0 || address + length < address)
    return fail(EINVAL, fmt::format("iova, length and address must be multiples of {:#x}", step));
  auto const pages = CallerPages::of(call.caller());
  if (!pages) return std::unexpected(pages.error());
  PinLedger& ledger = call.file().engine().addresses().pins();
  Walker walker(domain);
  SWIOMMU_TRY(walker.start());
  for (std::uint64_t done = 0; done < length; done += step) {
    auto const wanted = pages->at(address + done);
    if (!wanted) return std::unexpected(wanted.error());
    auto const found = domain.translate(iova + done, {}, Update::no);
    if (!found.ok()) return fail(EINVAL, fmt::format("iova {:#x} leads nowhere", iova + done));
    auto const page = ledger.page_at(HostAddress(found.output));
    if (!page) return std::unexpected(page.error());
    if (*page != *wanted || ((found.output ^ (address + done)) & (host_page_size - 1)) != 0)
      return fail(EINVAL, fmt::format("iova {:#x} leads to other memory than is at {:#x}", iova + done, address + done));
  }
  return {};
}

Result<void> check_references(TestCall const& call) {
  auto const [length, address, references] = call.arguments().check_references;
  if (((length | address) & (host_page_size - 1)) != 0 || address + length < address)
    return fail(EINVAL, "length and address must be multiples of 4 KiB");
  auto const pages = CallerPages::of(call.caller());
  if (!pages) return std::unexpected(pages.error());
  for (std::uint64_t done = 0; done < length; done += host_page_size) {
    auto const page = pages->at(address + done);
    if (!page) return std::unexpected(page.error());
    auto const pins = call.file().engine().addresses().pins().pins(*page);
    if (!pins) return std::unexpected(pins.error());
    if (*pins != references)
      return fail(EIO, fmt::format("the page at {:#x} is pinned {} times, not {}", address + done, *pins, references));
  }
  return {};
}

}  // namespace swiommu::iommufd::selftest
