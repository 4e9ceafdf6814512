// Ports beside each other, and a port beside a thread that invalidates: how much slower each becomes.
#include <fmt/format.h>

#include <thread>

#include "bench/addresses.h"
#include "bench/background.h"
#include "bench/failure.h"
#include "bench/figure_text.h"
#include "bench/host_memory.h"
#include "bench/measured_format.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::bench {

namespace {

using Steady = std::chrono::steady_clock;

// One domain, one device, as many ports as are asked for.
struct World {
  World(MeasuredFormat const& under_test, std::uint64_t count, unsigned port_count)
      : format(under_test),
        pages(count),
        memory(count << format.page_lg2()),
        domain(needed(PagingDomain::create(memory.host, format.named.configuration))),
        device(needed(Device::create(memory.host))) {
    needed(domain->map(format.pages(0, pages), memory.ram->host_address(0), read_write, format.page_lg2()));
    needed(device->attach(domain));
    while (ports.size() < port_count) ports.push_back(needed(device->open_port()));
  }
  double time_translations(Port& port, RandomPages& order, std::uint64_t operations) const {
    bool good = true;
    double const took = time_looks(Addresses::independent, order, operations, [&](std::uint64_t page) -> std::uint64_t {
      Port::Guard const guard(port);
      auto const chunk = port.translate(guard, Iova(format.pages(page, 1).start), Access::reading());
      if (!chunk) return good = false;
      return std::bit_cast<std::uint64_t>(chunk->data);
    });
    require(good, "a translation found nothing");
    return took;
  }

  MeasuredFormat const format;
  std::uint64_t const pages;
  HostMemory memory;
  std::shared_ptr<PagingDomain> domain;
  std::shared_ptr<Device> device;
  std::vector<std::unique_ptr<Port>> ports;
};

std::string series(MeasuredFormat const& format, std::uint64_t pages) {
  return fmt::format("{}, {} pages", format.named.name, count_text(pages));
}

// The first port is measured, the others do the same beside it.
Measurement beside_ports(MeasuredFormat const& format, std::uint64_t pages, unsigned count) {
  auto const prepare = [=] {
    auto const world = std::make_shared<World>(format, pages, count);
    std::vector<std::shared_ptr<Background>> others;
    for (unsigned n = 1; n < count; n++)
      others.push_back(std::make_shared<Background>([world, n, order = RandomPages(pages)]() mutable {
        return world->time_translations(*world->ports[n], order, 1024) > 0;
      }));
    return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      return world->time_translations(*world->ports.front(), order, operations);
    }};
  };
  Measurement measurement{.label = {.suite = "scale",
                                    .chart = "ports at the same time",
                                    .series = series(format, pages),
                                    .axis = "ports",
                                    .x = count,
                                    .per = "translation of one of them"},
                          .prepare = prepare};
  if (count > 1) measurement.references = {std::make_shared<Measurement const>(beside_ports(format, pages, 1))};
  return measurement;
}

// Invalidates one page after the other, so many times a second. What it is late it makes up for.
struct Invalidator {
  bool operator()() {
    auto const now = Steady::now();
    if (now < next) return true;
    next += every;
    page = (page + 1) & (world->pages - 1);
    done->fetch_add(1, std::memory_order_relaxed);
    return world->domain->invalidate(world->format.pages(page, 1)).has_value();
  }
  std::shared_ptr<World> world;
  std::chrono::nanoseconds every;
  std::shared_ptr<std::atomic<std::uint64_t>> done;
  Steady::time_point next = Steady::now();
  std::uint64_t page = 0;
};

Measurement beside_invalidations(MeasuredFormat const& format, std::uint64_t pages, std::uint64_t rate) {
  auto const prepare = [=] {
    auto const world = std::make_shared<World>(format, pages, 1);
    auto const done = std::make_shared<std::atomic<std::uint64_t>>(0);
    auto const begun = Steady::now();
    std::shared_ptr<Background> other;
    if (rate > 0)
      other = std::make_shared<Background>(
          Invalidator{.world = world, .every = std::chrono::nanoseconds(1'000'000'000 / rate), .done = done});
    auto time = [=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      if (other) other->check();
      return world->time_translations(*world->ports.front(), order, operations);
    };
    auto remark = [=]() -> std::string {
      if (rate == 0) return {};
      double const reached = static_cast<double>(*done) / std::chrono::duration<double>(Steady::now() - begun).count();
      return reached > 0.95 * static_cast<double>(rate) ? "" : fmt::format("only {:.0f} a second were possible", reached);
    };
    return Run{std::move(time), std::move(remark)};
  };
  Measurement measurement{.label = {.suite = "scale",
                                    .chart = "one port, invalidations of one page",
                                    .series = series(format, pages),
                                    .axis = "a second",
                                    .x = rate,
                                    .per = "translation"},
                          .prepare = prepare};
  if (rate > 0) measurement.references = {std::make_shared<Measurement const>(beside_invalidations(format, pages, 0))};
  return measurement;
}

}  // namespace

std::vector<Measurement> scale_suite(Scope const& scope) {
  MeasuredFormat const format(scope.formats.front());
  std::vector<std::uint64_t> working_sets{1, 64, 4096};
  std::erase_if(working_sets, [&](std::uint64_t pages) { return pages > scope.most_pages; });
  std::vector<Measurement> all;
  for (std::uint64_t const pages : working_sets)
    for (unsigned ports = 1; has_processors(ports); ports *= 2) all.push_back(beside_ports(format, pages, ports));
  for (std::uint64_t const pages : working_sets)
    for (std::uint64_t const rate : {0, 100, 1000, 10'000, 100'000, 1'000'000})
      if (rate == 0 || has_processors(2)) all.push_back(beside_invalidations(format, pages, rate));
  return all;
}

}  // namespace swiommu::bench
