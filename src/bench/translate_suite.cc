// What a port's user sees: a guard, an address, a pointer. Pages are mapped one by one to places that are not neighbours, so that
// no entry serves more than one.
#include <fmt/format.h>

#include <cstring>

#include "bench/failure.h"
#include "bench/host_memory.h"
#include "bench/measured_format.h"
#include "bench/references.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/paging_domain.h"

namespace swiommu::bench {

// A translation as its users' code has it, in a function of its own: checks/hit_path.sh looks at its instructions. Without the
// guard, which locks where programs forbid membarrier.
[[gnu::noinline]] std::byte* translate_once(Port& port, Port::Guard const& guard, Iova iova);
std::byte* translate_once(Port& port, Port::Guard const& guard, Iova iova) {
  auto const chunk = port.translate(guard, iova, Access::reading());
  return chunk ? chunk->data : nullptr;
}

namespace {

// A device with one port that is attached to `pages` mapped pages.
struct Attached {
  Attached(MeasuredFormat const& format, std::uint64_t pages)
      : memory((pages + 1) / 2 * 2 << format.page_lg2()),
        domain(needed(PagingDomain::create(memory.host, format.named.configuration))),
        device(needed(Device::create(memory.host))),
        page_lg2(format.page_lg2()),
        first(format.first) {
    for (std::uint64_t page = 0; page < pages; page++)
      needed(domain->map(format.pages(page, 1), memory.ram->host_address((page ^ 1) << page_lg2), read_write));
    needed(device->attach(domain));
    port = needed(device->open_port());
    // Each page once: what is measured then is how well they are kept.
    for (std::uint64_t page = 0; page < pages; page++) {
      Port::Guard const guard(*port);
      require(translate_once(*port, guard, iova(page)) != nullptr, "a translation found nothing");
    }
  }

  [[nodiscard]] Iova iova(std::uint64_t page) const { return Iova(first + (page << page_lg2)); }

  HostMemory memory;
  std::shared_ptr<PagingDomain> domain;
  std::shared_ptr<Device> device;
  std::unique_ptr<Port> port;
  unsigned page_lg2;
  std::uint64_t first;
};

template <class Order>
double time_translations(Attached const& world, Addresses addresses, Order& order, std::uint64_t operations) {
  bool good = true;
  double const took = time_looks(addresses, order, operations, [&](std::uint64_t page) -> std::uint64_t {
    Port::Guard const guard(*world.port);
    auto const chunk = world.port->translate(guard, world.iova(page), Access::reading());
    if (!chunk) return good = false;
    return std::bit_cast<std::uint64_t>(chunk->data);
  });
  require(good, "a translation found nothing");
  return took;
}

struct SamePage {
  [[nodiscard]] static std::uint64_t next() { return 0; }
};

Measurement same_page(MeasuredFormat const& format) {
  return {
      .label = {.suite = "translate", .chart = "same page again", .series = format.named.name, .axis = "", .per = "translation"},
      .prepare =
          [=] {
            auto const world = std::make_shared<Attached>(format, 1);
            return Run{[=, order = SamePage()](std::uint64_t operations) mutable {
              return time_translations(*world, Addresses::independent, order, operations);
            }};
          },
      .references = {flat_array(1, Addresses::independent)}};
}

Measurement random_pages(MeasuredFormat const& format, std::uint64_t pages, Addresses addresses) {
  Measurement measurement{.label = {.suite = "translate",
                                    .chart = fmt::format("random pages, {}", name(addresses)),
                                    .series = format.named.name,
                                    .axis = "pages",
                                    .x = pages,
                                    .per = "translation"},
                          .prepare =
                              [=] {
                                auto const world = std::make_shared<Attached>(format, pages);
                                auto const operations_done = std::make_shared<std::uint64_t>(0);
                                auto time = [=, order = RandomPages(pages)](std::uint64_t operations) mutable {
                                  *operations_done += operations;
                                  return time_translations(*world, addresses, order, operations);
                                };
                                auto remark = [=, before = world->port->walks()] {
                                  double const part =
                                      static_cast<double>(world->port->walks() - before) / static_cast<double>(*operations_done);
                                  return fmt::format("{:.3g} % walk", 100 * part);
                                };
                                return Run{std::move(time), std::move(remark)};
                              },
                          .references = {flat_array(pages, addresses)}};
  if (pages <= most_hashed_pages) measurement.references.push_back(hash_map(pages, addresses));
  return measurement;
}

Measurement read_bytes(MeasuredFormat const& format, std::uint64_t bytes) {
  return {
      .label = {.suite = "translate", .chart = "reads", .series = format.named.name, .axis = "bytes", .x = bytes, .per = "read"},
      .prepare =
          [=] {
            auto const world = std::make_shared<Attached>(format, (bytes >> format.page_lg2()) + 1);
            auto const to = std::make_shared<std::vector<std::byte>>(bytes);
            std::memset(world->memory.ram->pointer(0), 1, world->memory.ram->length());
            return Run{[=](std::uint64_t operations) {
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) {
                  good &= world->port->read(world->iova(0), to->data(), bytes).ok();
                  keep(to->data());
                }
              });
              require(good, "a read faulted");
              return took;
            }};
          },
      .references = {memory_copy(bytes)}};
}

// Lists of 64 parts of 64 bytes, each in a random page that is there; as a list, or part by part.
Measurement scatter_list(MeasuredFormat const& format, std::uint64_t pages, bool as_a_list) {
  constexpr std::size_t parts = 64, part_bytes = 64;
  return {.label = {.suite = "translate",
                    .chart = "reads of 64 parts of 64 bytes in random pages",
                    .series = as_a_list ? "as a scatter list" : "part by part",
                    .axis = "pages",
                    .x = pages,
                    .per = "part"},
          .prepare = [=] {
            auto const world = std::make_shared<Attached>(format, pages);
            auto const to = std::make_shared<std::vector<std::byte>>(parts * part_bytes);
            std::memset(world->memory.ram->pointer(0), 1, world->memory.ram->length());
            return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
              bool good = true;
              std::vector<Segment> list(parts);
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n += parts) {
                  for (Segment& segment : list)
                    segment = {Iova(world->iova(order.next()).value + (n / parts * part_bytes & 0xfff)), part_bytes};
                  if (as_a_list) {
                    good &= world->port->read(list, to->data()).ok();
                  } else {
                    std::byte* at = to->data();
                    for (Segment const& segment : list) {
                      good &= world->port->read(segment.iova, at, segment.length).ok();
                      at += segment.length;
                    }
                  }
                  keep(to->data());
                }
              });
              require(good, "a read faulted");
              return took * static_cast<double>(operations) / static_cast<double>((operations + parts - 1) / parts * parts);
            }};
          }};
}

}  // namespace

std::vector<Measurement> translate_suite(Scope const& scope) {
  constexpr std::uint64_t cached = std::uint64_t{1} << 16;      // what a port should keep
  constexpr std::uint64_t most_quick = std::uint64_t{1} << 20;  // mapping each page by itself takes a while
  std::vector<Measurement> all;
  all.reserve(scope.formats.size());
  for (NamedFormat const& named : scope.formats) all.push_back(same_page(MeasuredFormat(named)));
  for (Addresses const addresses : {Addresses::independent, Addresses::dependent})
    for (NamedFormat const& named : scope.formats) {
      MeasuredFormat const format(named);
      auto sizes = scope.working_sets(scope.is_first(named), scope.quick ? most_quick : Scope::usual_most_pages);
      if (scope.quick && scope.most_pages > cached) sizes.push_back(cached);
      for (std::uint64_t const pages : sizes)
        if (format.holds(pages)) all.push_back(random_pages(format, pages, addresses));
    }
  for (std::uint64_t const bytes : {8, 64, 512, 4096, 65536, 1 << 20})
    all.push_back(read_bytes(MeasuredFormat(scope.formats.front()), bytes));
  for (std::uint64_t const pages : {std::uint64_t{1} << 12, std::uint64_t{1} << 16})
    for (bool const as_a_list : {false, true})
      if (pages <= scope.most_pages) all.push_back(scatter_list(MeasuredFormat(scope.formats.front()), pages, as_a_list));
  return all;
}

}  // namespace swiommu::bench
