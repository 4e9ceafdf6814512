// A page table alone: no invalidation, no waiting, no pins; each call has a Gather of its own, which is finished. Tables come
// from a warm pool: all of them have been in use before.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "bench/failure.h"
#include "bench/host_memory.h"
#include "bench/map_measurements.h"
#include "bench/measured_format.h"
#include "bench/references.h"

namespace swiommu::bench {

namespace {

enum class Call : bool { map, unmap };
constexpr char const* name(Call call) { return call == Call::map ? "map" : "unmap"; }

struct Table {
  Table(MeasuredFormat const& under_test, unsigned leaf)
      : format(under_test),
        leaf_lg2(leaf),
        allocator(needed(TableAllocator::create())),
        table(needed(PageTable::create(format.named.configuration, allocator))) {}

  void map(std::uint64_t page, std::uint64_t count) {
    Gather gather;
    Range const inputs = format.pages(page, count, leaf_lg2);
    if (!table->map(inputs, inputs.start, read_write, Existing::refuse, Cut::refuse, gather, leaf_lg2)) failed = true;
    gather.finish();
  }
  void unmap(std::uint64_t page, std::uint64_t count) {
    Gather gather;
    if (!table->unmap(format.pages(page, count, leaf_lg2), Cut::refuse, gather)) failed = true;
    gather.finish();
  }
  // Times one of the two.
  template <class Map, class Unmap>
  double time(Call call, bool mapped_before, Map map_all, Unmap unmap_all) {
    double took[2]{};
    if (mapped_before) took[1] = nanoseconds(unmap_all);
    took[0] = nanoseconds(map_all);
    if (!mapped_before) took[1] = nanoseconds(unmap_all);
    require(!failed, "a page could not be mapped or unmapped");
    return took[call == Call::map ? 0 : 1];
  }

  MeasuredFormat const format;
  unsigned const leaf_lg2;
  std::shared_ptr<TableAllocator> allocator;
  std::unique_ptr<PageTable> table;
  bool failed = false;
};

// Page after page, into nothing.
Measurement sequential(MeasuredFormat const& format, Call call, std::string const& leaves, unsigned leaf_lg2,
                       std::uint64_t pages) {
  auto const prepare = [=] {
    auto const world = std::make_shared<Table>(format, leaf_lg2);
    world->map(0, pages);
    world->unmap(0, pages);
    return Run{[=](std::uint64_t operations) {
      double took = 0;
      for (std::uint64_t done = 0; done < operations;) {
        std::uint64_t const some = std::min(pages, operations - done);
        took += world->time(
            call, false,
            [&] {
              for (std::uint64_t page = 0; page < some; page++) world->map(page, 1);
            },
            [&] {
              for (std::uint64_t page = 0; page < some; page++) world->unmap(page, 1);
            });
        done += some;
      }
      return took;
    }};
  };
  return {.label = {.suite = "map",
                    .chart = fmt::format("page table: {} one page, {}, sequential", name(call), leaves),
                    .series = format.named.name,
                    .axis = "pages",
                    .x = pages,
                    .per = "page"},
          .prepare = prepare};
}

// Random pages out of a space that is mapped otherwise: they are unmapped and mapped again.
Measurement scattered(MeasuredFormat const& format, Call call, std::uint64_t pages) {
  auto const prepare = [=] {
    auto const world = std::make_shared<Table>(format, format.page_lg2());
    world->map(0, pages);
    auto const order = std::make_shared<std::vector<std::uint32_t>>(pages);
    std::iota(order->begin(), order->end(), 0u);
    std::ranges::shuffle(*order, std::mt19937(1));
    return Run{[=, next = std::uint64_t{0}](std::uint64_t operations) mutable {
      constexpr std::uint64_t most = 4096;
      double took = 0;
      for (std::uint64_t done = 0; done < operations;) {
        std::uint64_t const some = std::min({most, pages, operations - done});
        if (next + some > pages) next = 0;
        std::span const chosen(order->data() + next, some);
        took += world->time(
            call, true,
            [&] {
              for (std::uint32_t const page : chosen) world->map(page, 1);
            },
            [&] {
              for (std::uint32_t const page : chosen) world->unmap(page, 1);
            });
        next += some, done += some;
      }
      return took;
    }};
  };
  return {.label = {.suite = "map",
                    .chart = fmt::format("page table: {} one page, smallest leaves, random", name(call)),
                    .series = format.named.name,
                    .axis = "pages",
                    .x = pages,
                    .per = "page"},
          .prepare = prepare};
}

// All pages in one call.
Measurement bulk(MeasuredFormat const& format, Call call, std::uint64_t pages) {
  auto const prepare = [=] {
    auto const world = std::make_shared<Table>(format, format.page_lg2());
    world->map(0, pages);
    world->unmap(0, pages);
    return Run{[=](std::uint64_t operations) {
      double took = 0;
      for (std::uint64_t n = 0; n < operations; n++)
        took += world->time(call, false, [&] { world->map(0, pages); }, [&] { world->unmap(0, pages); });
      return took;
    }};
  };
  return {.label = {.suite = "map",
                    .chart = fmt::format("page table: {} in one call, smallest leaves", name(call)),
                    .series = format.named.name,
                    .axis = "pages",
                    .x = pages,
                    .per = "entry"},
          .prepare = prepare,
          .items = static_cast<double>(pages),
          .references = {entries_copy(pages)}};
}

}  // namespace

std::vector<Measurement> page_table_maps(Scope const& scope) {
  constexpr std::uint64_t one_gigabyte = std::uint64_t{1} << 18;
  std::vector<Measurement> all;
  auto const each_format = [&](auto add) {
    for (Call const call : {Call::map, Call::unmap})
      for (NamedFormat const& named : scope.formats) add(MeasuredFormat(named), call);
  };
  each_format([&](MeasuredFormat const& format, Call call) {
    all.push_back(sequential(format, call, "smallest leaves", format.page_lg2(), std::min(one_gigabyte, scope.most_pages)));
  });
  each_format([&](MeasuredFormat const& format, Call call) {
    for (std::uint64_t const pages : scope.working_sets(scope.is_first(format.named)))
      if (format.holds(pages)) all.push_back(scattered(format, call, pages));
  });
  each_format([&](MeasuredFormat const& format, Call call) {
    for (std::uint64_t const pages : scope.working_sets(scope.is_first(format.named)))
      if (format.holds(pages)) all.push_back(bulk(format, call, pages));
  });
  for (auto const& [leaves, leaf_lg2] : {std::pair{"2 MiB leaves", 21u}, {"1 GiB leaves", 30u}})
    each_format([&](MeasuredFormat const& format, Call call) {
      std::uint64_t const pages = (std::uint64_t{64} << 30) >> leaf_lg2;
      if (format.has_leaves(leaf_lg2) && format.holds(pages, leaf_lg2))
        all.push_back(sequential(format, call, leaves, leaf_lg2, pages));
    });
  return all;
}

}  // namespace swiommu::bench
