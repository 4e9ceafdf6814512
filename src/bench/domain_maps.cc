// Domains that a device is attached to, with an idle port; I/O address spaces, which pin; pins alone.
#include <fmt/format.h>

#include "bench/failure.h"
#include "bench/figure_text.h"
#include "bench/host_memory.h"
#include "bench/map_measurements.h"
#include "bench/measured_format.h"
#include "bench/populated_memory.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/io_address_space.h"
#include "swiommu/memory/file_memory.h"

namespace swiommu::bench {

namespace {

// A domain with a device, one port of which is open.
struct World {
  World(MeasuredFormat const& format, std::uint64_t bytes)
      : memory(bytes),
        domain(needed(PagingDomain::create(memory.host, format.named.configuration))),
        device(needed(Device::create(memory.host))) {
    needed(device->attach(domain));
    port = needed(device->open_port());
  }
  HostMemory memory;
  std::shared_ptr<PagingDomain> domain;
  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
};

Label label(std::string chart, std::string series, std::string per) {
  return {.suite = "map", .chart = std::move(chart), .series = std::move(series), .axis = "", .x = 0, .per = std::move(per)};
}

Measurement in_domain(MeasuredFormat const& format) {
  return {.label = label("domain: map and unmap one page, device idle", format.named.name, "pair"), .prepare = [=] {
            auto const world = std::make_shared<World>(format, bit(format.page_lg2()));
            return Run{[=](std::uint64_t operations) {
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) {
                  good &= world->domain->map(format.pages(0, 1), world->memory.ram->host_address(0), read_write).has_value();
                  good &= world->domain->unmap(format.pages(0, 1)).has_value();
                }
              });
              require(good, "a page could not be mapped or unmapped");
              return took;
            }};
          }};
}

// An I/O address space over the domain, and memory for it. The memory is private but for the formats that are too narrow for it.
struct PinnedWorld : World {
  PinnedWorld(MeasuredFormat const& format, std::uint64_t bytes)
      : World(format, bytes), mine(Source::small_pages, bytes), space(needed(IoAddressSpace::create())) {
    needed(space->attach_domain(domain));
    auto backing = needed(UserMemory::create(*memory.addresses, mine.data(), bytes, true));
    if (backing->host_address(bytes - 1).value > low_bits(format.shape.output_bits))
      pages = std::make_shared<Pages>(needed(SharedMemory::create(*memory.addresses, bytes)));
    else
      pages = std::make_shared<Pages>(std::move(backing));
  }
  PopulatedMemory mine;
  std::shared_ptr<Pages> pages;
  std::shared_ptr<IoAddressSpace> space;
};

Measurement in_address_space(MeasuredFormat const& format) {
  return {.label = label("domain: map, pin and unmap one page, device idle", format.named.name, "pair"), .prepare = [=] {
            auto const world = std::make_shared<PinnedWorld>(format, bit(format.page_lg2()));
            PagesSlice const slice{.pages = world->pages, .offset = 0, .length = bit(format.page_lg2())};
            return Run{[=](std::uint64_t operations) {
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) {
                  good &= world->space->map(Iova(format.first), slice, read_write).has_value();
                  good &= world->space->unmap(format.pages(0, 1)).has_value();
                }
              });
              require(good, "a page could not be mapped or unmapped");
              return took;
            }};
          }};
}

Measurement pinning(std::uint64_t bytes, Source source) {
  auto series = fmt::format("{}B {}", count_text(bytes), name(source));
  return {.label = label("pin and unpin populated memory", std::move(series), "pair"), .prepare = [=] {
            auto const memory = std::make_shared<PopulatedMemory>(source, bytes);
            std::shared_ptr<HostAddressSpace> const space = needed(HostAddressSpace::create());
            std::unique_ptr<Backing> backing;
            if (source == Source::memfd)
              backing = needed(FileMemory::create(*space, memory->file(), 0, bytes, true));
            else
              backing = needed(UserMemory::create(*space, memory->data(), bytes, true));
            auto const pages = std::make_shared<Pages>(std::move(backing));
            // the pages go before what they lie in
            return Run{[memory, space, pages, last = (bytes >> host_page_lg2) - 1](std::uint64_t operations) {
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) {
                  good &= pages->pin(0, last).has_value();
                  pages->unpin(0, last);
                }
              });
              require(good, "pages could not be pinned");
              return took;
            }};
          }};
}

}  // namespace

std::vector<Measurement> domain_maps(Scope const& scope) {
  std::vector<Measurement> all;
  all.reserve(2 * scope.formats.size());
  for (NamedFormat const& named : scope.formats) all.push_back(in_domain(MeasuredFormat(named)));
  for (NamedFormat const& named : scope.formats) all.push_back(in_address_space(MeasuredFormat(named)));
  std::uint64_t const large = std::min(std::uint64_t{1} << 30, scope.most_pages << host_page_lg2);
  for (std::uint64_t const bytes : {host_page_size, large})
    for (Source const source : {Source::memfd, Source::huge_pages, Source::small_pages})
      if (!scope.quick || source != Source::small_pages) all.push_back(pinning(bytes, source));
  return all;
}

}  // namespace swiommu::bench
