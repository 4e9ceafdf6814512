// Reading and clearing dirty flags into a bitmap, of a domain with a device attached, whose port is idle.
#include "bench/failure.h"
#include "bench/host_memory.h"
#include "bench/measured_format.h"
#include "bench/references.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"
#include "swiommu/memory/dirty_bitmap.h"

namespace swiommu::bench {

namespace {

NamedFormat with_flags(NamedFormat named) {
  named.configuration.accessed_updates = named.configuration.dirty_updates = true;
  return named;
}

struct World {
  World(MeasuredFormat const& under_test, std::uint64_t count)
      : format(under_test),
        pages(count),
        memory(count << format.page_lg2()),
        domain(needed(PagingDomain::create(memory.host, format.named.configuration))),
        device(needed(Device::create(memory.host))),
        words(DirtyBitmap::words_for(format.pages(0, pages), format.page_lg2())) {
    needed(domain->map(format.pages(0, pages), memory.ram->host_address(0), read_write, format.page_lg2()));
    needed(device->attach(domain));
    port = needed(device->open_port());
  }
  void write_all() const {
    bool good = true;
    for (std::uint64_t page = 0; page < pages; page++)
      good &= domain->translate(format.pages(page, 1).start, Access::writing(), Update::yes).ok();
    require(good, "a page could not be written");
  }
  // The time that it takes; `dirty` pages should be found.
  double harvest(std::uint64_t dirty) {
    std::uint64_t found = 0;
    bool good = true;
    double const took = nanoseconds([&] {
      auto bitmap = DirtyBitmap::over(format.pages(0, pages), format.page_lg2(), words);
      good = bitmap && domain->read_dirty(bitmap->range(), Clear::yes, [&](Range range) {
        bitmap->set(range);
        found += range.length();
      });
    });
    require(good && found == dirty << format.page_lg2(), "not all dirty pages were found");
    return took;
  }

  MeasuredFormat const format;
  std::uint64_t const pages;
  HostMemory memory;
  std::shared_ptr<PagingDomain> domain;
  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
  std::vector<std::uint64_t> words;
};

Measurement harvest(MeasuredFormat const& format, std::uint64_t pages, bool dirty) {
  auto const prepare = [=] {
    auto const world = std::make_shared<World>(format, pages);
    world->write_all();
    world->harvest(pages);
    return Run{[=](std::uint64_t operations) {
      double took = 0;
      for (std::uint64_t n = 0; n < operations; n++) {
        if (dirty) world->write_all();
        took += world->harvest(dirty ? pages : 0);
      }
      return took;
    }};
  };
  return {.label = {.suite = "dirty",
                    .chart = dirty ? "read and clear, all dirty" : "read and clear, all clean",
                    .series = format.named.name,
                    .axis = "pages",
                    .x = pages,
                    .per = "entry"},
          .prepare = prepare,
          .items = static_cast<double>(pages),
          .references = {entries_copy(pages)}};
}

}  // namespace

std::vector<Measurement> dirty_suite(Scope const& scope) {
  // making pages dirty takes longer than reading that they are
  std::uint64_t const most_dirty = std::uint64_t{1} << (scope.quick ? 18 : 20);
  std::vector<Measurement> all;
  for (bool const dirty : {true, false})
    for (NamedFormat const& named : scope.formats) {
      MeasuredFormat const format(with_flags(named));
      if (!format.shape.tracks_dirty) continue;
      for (std::uint64_t const pages : scope.working_sets(scope.is_first(named), dirty ? most_dirty : Scope::usual_most_pages))
        if (format.holds(pages)) all.push_back(harvest(format, pages, dirty));
    }
  return all;
}

}  // namespace swiommu::bench
