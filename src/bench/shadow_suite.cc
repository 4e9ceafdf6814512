// Bringing the shadow of a user page table up to date, after the guest has changed all of it or nothing.
#include <algorithm>

#include "bench/failure.h"
#include "bench/guest.h"
#include "bench/references.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/shadow_domain.h"
#include "swiommu/hardware/zpci_guest_function.h"

namespace swiommu::bench {

namespace {

Measurement refresh(Nesting const& nesting, std::uint64_t pages, bool changed) {
  auto const prepare = [=] {
    auto const guest = std::make_shared<Guest>(nesting, pages);
    auto const shadow = needed(ShadowDomain::create(guest->parent(), guest->description()));
    Range const iovas = guest->user().pages(0, pages);
    needed(shadow->refresh(iovas));
    return Run{[=, first = std::uint64_t{0}](std::uint64_t operations) mutable {
      double took = 0;
      bool good = true;
      for (std::uint64_t n = 0; n < operations; n++) {
        if (changed) guest->map_from(first = 1 - first);
        took += nanoseconds([&] { good &= shadow->refresh(iovas).has_value(); });
      }
      require(good, "the shadow could not be refreshed");
      return took;
    }};
  };
  return {.label = {.suite = "shadow",
                    .chart = changed ? "refresh, all entries changed" : "refresh, nothing changed",
                    .series = nesting.name(),
                    .axis = "pages",
                    .x = pages,
                    .per = "entry"},
          .prepare = prepare,
          .items = static_cast<double>(pages),
          .references = {entries_copy(pages)}};
}

// What Linux does for each buffer: RPCIT of a page that was mapped, and once it is unmapped. The guest's own work is not timed.
Measurement one_page_instruction() {
  auto const prepare = [] {
    constexpr std::uint64_t pages = 256, page = 4096;
    auto const guest = std::make_shared<Guest>(shadowed(), pages);
    auto const device = needed(Device::create(guest->host()));
    std::shared_ptr<zpci::GuestFunction> const function = needed(zpci::GuestFunction::create(guest->parent(), device, {}));
    zpci::Fib const fib{.pba = __builtin_bswap64(guest->iova(0)),
                        .pal = __builtin_bswap64(low_bits(42)),
                        .iota = __builtin_bswap64(guest->description().root | 0x804)};  // a region-third table
    constexpr std::uint64_t handle = std::uint64_t{0x80000001} << 32;
    require(function->modify(handle | SWIOMMU_ZPCI_REGISTER_IOAT, fib).condition_code == 0, "the table could not be registered");
    std::shared_ptr<Port> const port = needed(device->open_port());
    return Run{[=, mapped = true](std::uint64_t operations) mutable {
      Range const buffer = guest->user().pages(7, 1);
      std::uint64_t const output = align_down(guest->description().root, 21);
      bool good = port != nullptr;
      double took = 0;
      for (std::uint64_t n = 0; n < operations; n++) {
        Gather gather;
        if (mapped)
          good &= guest->table().unmap(buffer, Cut::refuse, gather).has_value();
        else
          good &= guest->table().map(buffer, output, read_write, Existing::refuse, Cut::refuse, gather).has_value();
        gather.finish();
        mapped = !mapped;
        took += nanoseconds([&] { good &= function->refresh(handle, buffer.start, page).condition_code == 0; });
      }
      require(good, "RPCIT failed");
      return took;
    }};
  };
  return {.label = {.suite = "shadow",
                    .chart = "RPCIT of one page",
                    .series = "s390-zpci-rt over vtd-second-stage",
                    .axis = "",
                    .x = 0,
                    .per = "instruction"},
          .prepare = prepare};
}

}  // namespace

std::vector<Measurement> shadow_suite(Scope const& scope) {
  // the guest's part takes longer than ours
  std::uint64_t const most = std::uint64_t{1} << (scope.quick ? 18 : 20);
  std::vector<Measurement> all;
  std::vector<Nesting> shadows{shadowed()};
  for (Nesting const& nesting : nestings(scope))
    if (nesting.name() != shadows.front().name()) shadows.push_back(nesting);
  for (bool const changed : {true, false})
    for (Nesting const& nesting : shadows)
      for (std::uint64_t const pages : scope.working_sets(nesting.close, most)) all.push_back(refresh(nesting, pages, changed));
  all.push_back(one_page_instruction());
  return all;
}

}  // namespace swiommu::bench
