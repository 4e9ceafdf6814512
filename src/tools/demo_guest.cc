#include "tools/demo_guest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "swiommu/memory/backing.h"

namespace swiommu::tools {

namespace {
constexpr std::uint64_t unused_bytes = std::uint64_t{64} << 20;
constexpr unsigned page_lg2 = 12;
}  // namespace

Result<std::unique_ptr<DemoGuest>> DemoGuest::create(MemoryImage const& image) {
  std::unique_ptr<DemoGuest> guest(new DemoGuest());
  auto memory = HostAddressSpace::create();
  if (!memory) return std::unexpected(std::move(memory).error());
  guest->memory_ = std::move(*memory);
  SWIOMMU_TRY(guest->lay_out(image));
  auto backing = SharedMemory::create(*guest->memory_, guest->length_);
  if (!backing) return std::unexpected(std::move(backing).error());
  guest->pages_ = std::make_unique<Pages>(std::move(*backing), guest->account_);
  SWIOMMU_TRY(guest->pages_->pin(0, guest->pages_->backing().pages() - 1));
  auto const host = Host::create(guest->memory_);
  if (!host) return std::unexpected(host.error());
  // Five levels: guests put devices and memory far up.
  auto domain = PagingDomain::create(*host, {.format = FormatName::vtd_second_stage, .levels = 5});
  if (!domain) return std::unexpected(std::move(domain).error());
  guest->domain_ = std::move(*domain);
  SWIOMMU_TRY(guest->fill_and_map(image));
  return guest;
}

DemoGuest::~DemoGuest() {
  // No device is attached any more, so nothing can refuse.
  for (Range const& run : runs_)
    if (domain_) (void)domain_->unmap(run);
  domain_.reset();
}

// The image's pages as runs, and behind them memory that the guest has not touched.
Result<void> DemoGuest::lay_out(MemoryImage const& image) {
  for (Range const& segment : image.segments()) {
    Range const pages{align_down(segment.start, page_lg2), segment.last | low_bits(page_lg2)};
    if (!runs_.empty() && pages.start <= runs_.back().last + 1 && runs_.back().last != ~std::uint64_t{0})
      runs_.back().last = std::max(runs_.back().last, pages.last);
    else
      runs_.push_back(pages);
  }
  if (runs_.empty()) return fail(EINVAL, "the memory image is empty");
  // A hole that is large enough, as low as possible: inside what any format of the guest can name.
  std::uint64_t start = unused_bytes;
  for (Range const& run : runs_)
    if (run.start < start + unused_bytes && run.last >= start) start = (run.last + unused_bytes) & ~(unused_bytes - 1);
  for (Range const& run : runs_) image_pages_ += run.length() >> page_lg2;
  runs_.push_back({start, start + unused_bytes - 1});
  next_unused_ = start;
  for (Range const& run : runs_) {
    offsets_.push_back(length_);
    length_ += run.length();
  }
  return {};
}

Result<void> DemoGuest::fill_and_map(MemoryImage const& image) {
  for (Range const& segment : image.segments()) {
    Range rest = segment;
    while (true) {
      std::uint64_t const length = std::min<std::uint64_t>(rest.last - rest.start, 0xffff) + 1;
      image.read(rest.start, at(rest.start), length);
      if (length - 1 == rest.last - rest.start) break;
      rest.start += length;
    }
  }
  for (std::size_t n = 0; n < runs_.size(); n++)
    SWIOMMU_TRY(domain_->map(runs_[n], pages_->host_address(offsets_[n]), {.access = Access::both()}));
  return {};
}

std::byte* DemoGuest::at(std::uint64_t guest_address) const {
  for (std::size_t n = 0; n < runs_.size(); n++)
    if (runs_[n].contains(guest_address))
      return memory_->pointer(pages_->host_address(offsets_[n] + (guest_address - runs_[n].start)));
  return nullptr;
}

std::vector<std::byte> DemoGuest::snapshot() const {
  std::vector<std::byte> all(length_);
  std::memcpy(all.data(), memory_->pointer(pages_->host_address(0)), all.size());
  return all;
}

Result<std::uint64_t> DemoGuest::allocate(unsigned size_lg2) {
  unsigned const lg2 = std::max(size_lg2, page_lg2);
  std::uint64_t const address = (next_unused_ + bit(lg2) - 1) & ~low_bits(lg2);
  if (address + bit(lg2) - 1 > unused().last) return fail(ENOMEM, "the guest's unused memory is used up");
  next_unused_ = address + bit(lg2);
  return address;
}

}  // namespace swiommu::tools
