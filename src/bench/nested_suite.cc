// Walks of a user page table, each fetch of which is translated by the parent.
#include <fmt/format.h>

#include "bench/failure.h"
#include "bench/guest.h"
#include "bench/references.h"
#include "bench/suites.h"
#include "swiommu/device/port.h"
#include "swiommu/domain/nested_domain.h"

namespace swiommu::bench {

namespace {

constexpr unsigned small_lg2 = 12, large_lg2 = 21;

std::string leaves(unsigned parent_leaf_lg2) {
  return parent_leaf_lg2 == large_lg2 ? "parent's leaves of 2 MiB" : "parent's leaves of 4 KiB";
}

// Loads that the walk does at least: the parent is walked for each table of the user, and for what is found in the end.
unsigned depth(Nesting const& nesting, unsigned parent_leaf_lg2) {
  unsigned const user = MeasuredFormat(nesting.user).shape.levels;
  unsigned const parent = MeasuredFormat(nesting.parent).shape.levels - (parent_leaf_lg2 == large_lg2 ? 1 : 0);
  return (user + 1) * (parent + 1) - 1;
}

Measurement bare(Nesting const& nesting, std::uint64_t pages, unsigned parent_leaf_lg2, Addresses addresses) {
  auto const prepare = [=] {
    auto const guest = std::make_shared<Guest>(nesting, pages, parent_leaf_lg2);
    auto const nested = needed(NestedDomain::create(guest->parent(), guest->description()));
    return Run{[=, order = RandomPages(pages)](std::uint64_t operations) mutable {
      bool good = true;
      double const took = time_looks(addresses, order, operations, [&](std::uint64_t page) {
        Translation const found = nested->translate(guest->iova(page), Access::reading(), Update::no);
        good &= found.ok();
        return found.output;
      });
      require(good, "a nested walk found nothing");
      return took;
    }};
  };
  return {.label = {.suite = "nested",
                    .chart = fmt::format("bare, {}, {}", leaves(parent_leaf_lg2), name(addresses)),
                    .series = nesting.name(),
                    .axis = "pages",
                    .x = pages,
                    .per = "walk"},
          .prepare = prepare,
          .references = {flat_array(pages, addresses), pointer_chase(pages, depth(nesting, parent_leaf_lg2), addresses)}};
}

// 4096 pages, at so many iovas that the port rarely meets one again that it has kept.
Measurement in_port(Nesting const& nesting, std::uint64_t iovas, unsigned parent_leaf_lg2, Addresses addresses) {
  auto const prepare = [=] {
    auto const guest = std::make_shared<Guest>(nesting, Guest::repeated_pages, parent_leaf_lg2);
    guest->repeat_tables();
    auto const device = needed(Device::create(guest->host()));
    needed(device->attach(needed(NestedDomain::create(guest->parent(), guest->description()))));
    std::shared_ptr<Port> const port = needed(device->open_port());
    auto const done = std::make_shared<std::uint64_t>(0);
    auto time = [=, order = RandomPages(iovas)](std::uint64_t operations) mutable {
      bool good = true;
      double const took = time_looks(addresses, order, operations, [&](std::uint64_t page) -> std::uint64_t {
        Port::Guard const guard(*port);
        auto const chunk = port->translate(guard, Iova(guest->iova(page)), Access::reading());
        if (!chunk) return good = false;
        return std::bit_cast<std::uint64_t>(chunk->data);
      });
      require(good, "a translation found nothing");
      *done += operations;
      return took;
    };
    auto remark = [=] {
      return fmt::format("{:.3g} % walk", 100 * static_cast<double>(port->walks()) / static_cast<double>(*done));
    };
    return Run{std::move(time), std::move(remark)};
  };
  return {.label = {.suite = "nested",
                    .chart = fmt::format("in a port, 4 Ki pages at many iovas, {}, {}", leaves(parent_leaf_lg2), name(addresses)),
                    .series = nesting.name(),
                    .axis = "iovas",
                    .x = iovas,
                    .per = "translation"},
          .prepare = prepare,
          .references = {flat_array(Guest::repeated_pages, addresses)}};
}

std::vector<std::uint64_t> many_iovas(Scope const& scope, Nesting const& nesting) {
  constexpr std::uint64_t many = std::uint64_t{1} << 20, most = std::uint64_t{1} << 24;
  std::vector<std::uint64_t> all;
  if (nesting.user.configuration.format == FormatName::s390_zpci) return all;  // its tables are larger
  for (std::uint64_t const iovas : {Guest::repeated_pages, std::uint64_t{1} << 16, many, most})
    if (iovas <= scope.most_pages && (iovas == many || (nesting.close && !scope.quick))) all.push_back(iovas);
  return all;
}

}  // namespace

std::vector<Measurement> nested_suite(Scope const& scope) {
  auto const all_nestings = nestings(scope);
  std::vector<Measurement> all;
  for (unsigned const parent_leaf_lg2 : {small_lg2, large_lg2})
    for (Addresses const addresses : {Addresses::independent, Addresses::dependent})
      for (Nesting const& nesting : all_nestings)
        for (std::uint64_t const pages : scope.working_sets(nesting.close))
          if (MeasuredFormat(nesting.user).holds(pages)) all.push_back(bare(nesting, pages, parent_leaf_lg2, addresses));
  for (unsigned const parent_leaf_lg2 : {small_lg2, large_lg2})
    for (Addresses const addresses : {Addresses::independent, Addresses::dependent})
      for (Nesting const& nesting : all_nestings)
        for (std::uint64_t const iovas : many_iovas(scope, nesting))
          all.push_back(in_port(nesting, iovas, parent_leaf_lg2, addresses));
  return all;
}

}  // namespace swiommu::bench
