// Walks of tables of our own: random pages of working sets that are mapped without a gap. Only tables are touched, no memory that
// they lead to.
#include <fmt/format.h>

#include "bench/failure.h"
#include "bench/host_memory.h"
#include "bench/measured_format.h"
#include "bench/references.h"
#include "bench/suites.h"

namespace swiommu::bench {

namespace {

// A table that maps `pages` leaves of one size.
struct Mapped {
  Mapped(MeasuredFormat const& format, std::uint64_t pages, unsigned leaf_lg2)
      : allocator(needed(TableAllocator::create())), table(needed(PageTable::create(format.named.configuration, allocator))) {
    Gather gather;
    Range const inputs = format.pages(0, pages, leaf_lg2);
    needed(table->map(inputs, inputs.start, read_write, Existing::refuse, Cut::refuse, gather, leaf_lg2));
    gather.finish();
  }
  std::shared_ptr<TableAllocator> allocator;
  std::unique_ptr<PageTable> table;
};

Measurement walk(MeasuredFormat const& format, std::string const& leaves, unsigned leaf_lg2, std::uint64_t pages,
                 Addresses addresses) {
  auto const prepare = [=] {
    auto const mapped = std::make_shared<Mapped>(format, pages, leaf_lg2);
    return Run{[=, first = format.first, order = RandomPages(pages)](std::uint64_t operations) mutable {
      bool good = true;
      double const took = time_looks(addresses, order, operations, [&](std::uint64_t page) {
        Walk const walk = mapped->table->walk(first + (page << leaf_lg2), Access::reading(), Update::no);
        good &= walk.ok();
        return walk.output;
      });
      require(good, "a walk found nothing");
      return took;
    }};
  };
  unsigned const levels = format.shape.levels - (leaf_lg2 == format.page_lg2() ? 0 : 1);
  return {.label = {.suite = "walk",
                    .chart = fmt::format("{}, {}", leaves, name(addresses)),
                    .series = format.named.name,
                    .axis = "pages",
                    .x = pages,
                    .per = "walk"},
          .prepare = prepare,
          .references = {flat_array(pages, addresses), pointer_chase(pages, levels, addresses)}};
}

}  // namespace

std::vector<Measurement> walk_suite(Scope const& scope) {
  constexpr unsigned large_lg2 = 21;
  constexpr std::uint64_t most_large = std::uint64_t{1} << 15;  // 64 GiB
  std::vector<Measurement> all;
  for (Addresses const addresses : {Addresses::independent, Addresses::dependent})
    for (NamedFormat const& named : scope.formats) {
      MeasuredFormat const format(named);
      for (std::uint64_t const pages : scope.working_sets(scope.is_first(named)))
        if (format.holds(pages)) all.push_back(walk(format, "smallest leaves", format.page_lg2(), pages, addresses));
    }
  for (Addresses const addresses : {Addresses::independent, Addresses::dependent})
    for (NamedFormat const& named : scope.formats) {
      MeasuredFormat const format(named);
      if (!format.has_leaves(large_lg2)) continue;
      for (std::uint64_t const pages : scope.working_sets(scope.is_first(named), most_large))
        if (format.holds(pages, large_lg2)) all.push_back(walk(format, "2 MiB leaves", large_lg2, pages, addresses));
    }
  return all;
}

}  // namespace swiommu::bench
