#include "bench/budget.h"

#include <fmt/format.h>

#include <tuple>

#include "bench/guest.h"

namespace swiommu::bench {

namespace {

constexpr double microsecond = 1000;

// Collects targets.
class Targets {
 public:
  void time(std::string operation, std::string figure, double nanoseconds, std::string peers = "") {
    all_.push_back({std::move(operation), std::move(figure), Target::Of::time, nanoseconds, std::move(peers)});
  }
  void ratio(std::string operation, std::string figure, double limit, std::string peers) {
    all_.push_back({std::move(operation), std::move(figure), Target::Of::ratio, limit, std::move(peers)});
  }
  void loss(std::string operation, std::string figure, double per_cent) {
    all_.push_back({std::move(operation), std::move(figure), Target::Of::loss, per_cent, ""});
  }
  std::vector<Target> all() && { return std::move(all_); }

 private:
  std::vector<Target> all_;
};

void add_translations(Targets& targets, std::string const& f) {
  targets.time("translate, same page again, with guard", "translate/same page again/" + f, 3, "libvfio-user 11 ns");
  targets.time("translate, random over 64 Ki pages, independent", "translate/random pages, independent/" + f + "/65536", 6,
               "over 64 Ki regions: libvfio-user 291 ns, vm-memory 376 ns");
  targets.time("translate, random over 64 Ki pages, dependent", "translate/random pages, dependent/" + f + "/65536", 22);
}

void add_walks(Targets& targets, std::string const& f, std::string const& nesting) {
  std::string const independent = "walk/smallest leaves, independent/" + f, dependent = "walk/smallest leaves, dependent/" + f;
  targets.ratio("walk, 1 GiB of smallest leaves, independent, to flat array", independent + "/262144", 2.5,
                "generic_pt -O3 11 ns (2.6 x)");
  targets.ratio("walk, 1 GiB of smallest leaves, dependent, to flat array", dependent + "/262144", 1.4,
                "generic_pt -O3 27 ns (1.4 x)");
  targets.ratio("walk, 64 GiB of smallest leaves, independent, to flat array", independent + "/16777216", 2.5,
                "generic_pt -O3 43 ns (2.7 x)");
  targets.ratio("walk, 64 GiB of smallest leaves, dependent, to flat array", dependent + "/16777216", 1.4,
                "generic_pt -O3 118 ns (1.0 x)");
  targets.time("nested walk, random over 4096 pages, bare",
               "nested/bare, parent's leaves of 4 KiB, independent/" + nesting + "/4096", 90,
               "RISC-V reference model, Sv48 x Sv48x4 981 ns");
  std::string const in_port = "nested/in a port, 4 Ki pages at many iovas, parent's leaves of ";
  targets.time("nested walk in a port, 4096 pages at 1 Mi iovas", in_port + "4 KiB, independent/" + nesting + "/1048576", 35);
  targets.time("nested walk in a port, the same, parent's leaves of 2 MiB",
               in_port + "2 MiB, independent/" + nesting + "/1048576", 25);
}

void add_maps(Targets& targets, std::string const& f) {
  targets.time("page table: map one page, sequential",
               "map/page table: map one page, smallest leaves, sequential/" + f + "/262144", 20,
               "generic_pt 39 ns (gcc), 22 ns (clang)");
  targets.time("page table: unmap one page, sequential",
               "map/page table: unmap one page, smallest leaves, sequential/" + f + "/262144", 25,
               "generic_pt 48 ns (gcc), 40 ns (clang)");
  targets.time("page table: map 1 GiB in one call, an entry", "map/page table: map in one call, smallest leaves/" + f + "/262144",
               0.6, "generic_pt 2.4 ns");
  targets.time("page table: unmap 1 GiB in one call, an entry",
               "map/page table: unmap in one call, smallest leaves/" + f + "/262144", 0.6, "generic_pt 1.5 ns");
  for (auto const& [size, pages] : {std::pair{"2 MiB", "32768"}, {"1 GiB", "64"}})
    targets.time(fmt::format("page table: map one page of {}, 64 GiB space", size),
                 fmt::format("map/page table: map one page, {} leaves, sequential/{}/{}", size, f, pages), 30,
                 "arm io-pgtable 34-41 ns, generic_pt 55-69 ns");
  targets.time("domain: map, pin and unmap one page, device idle", "map/domain: map, pin and unmap one page, device idle/" + f,
               400);
  targets.time("MAP ioctl, 4 KiB", "map/ioctl/MAP, 4 KiB", 1 * microsecond);
  std::string const ioctl = "map/ioctl, populated memory/";
  targets.time("MAP_FILE of a populated memfd, 1 GiB, large leaves", ioctl + "MAP_FILE, 1 GiB memfd, large leaves",
               5 * microsecond);
  targets.time("MAP_FILE of a populated memfd, 1 GiB, 4 KiB leaves", ioctl + "MAP_FILE, 1 GiB memfd, 4 KiB leaves",
               250 * microsecond);
  targets.time("MAP of private memory, 1 GiB of huge pages, large leaves", ioctl + "MAP, 1 GiB private, huge pages, large leaves",
               5 * microsecond, "Linux VFIO 1.6 ms, with real pinning");
  targets.time("MAP of private memory, 1 GiB of 4 KiB pages, 4 KiB leaves",
               ioctl + "MAP, 1 GiB private, 4 KiB pages, 4 KiB leaves", 250 * microsecond, "Linux VFIO 17 ms, with real pinning");
}

}  // namespace

std::vector<Target> budget(Scope const& scope) {
  std::string const& f = scope.formats.front().name;
  auto const on_top = nestings(scope);
  std::string const nesting = on_top.empty() ? "none" : on_top.front().name();
  Targets targets;
  add_translations(targets, f);
  add_walks(targets, f, nesting);
  add_maps(targets, f);
  targets.time("new anchor, ports idle", "anchor/in the library, one idle port/" + nesting, 300);
  targets.time("new anchor, one busy port", "anchor/in the library, one busy port/" + nesting, 10 * microsecond);
  targets.time("new anchor, through ioctls", "anchor/through ioctls, one idle port/VT-d", 2 * microsecond);
  targets.time("shadow refresh, all changed, an entry", "shadow/refresh, all entries changed/" + shadowed().name() + "/262144",
               10, "one MAP ioctl a page: microseconds");
  targets.time("shadow refresh, nothing changed, an entry", "shadow/refresh, nothing changed/" + shadowed().name() + "/262144",
               1);
  targets.time("read and clear dirty flags, all dirty, an entry", "dirty/read and clear, all dirty/" + f + "/262144", 1.5,
               "generic_pt 9.5 ns");
  targets.time("read and clear dirty flags, all clean, an entry", "dirty/read and clear, all clean/" + f + "/262144", 0.5,
               "generic_pt 2.6 ns");
  for (auto const& [rate, words, limit] : {std::tuple{1000, "1000", 5.0}, {10'000, "10 000", 15.0}, {100'000, "100 000", 50.0}})
    targets.loss(fmt::format("a port's loss, {} invalidations a second", words),
                 fmt::format("scale/one port, invalidations of one page/{}, 4 Ki pages/{}", f, rate), limit);
  return std::move(targets).all();
}

std::vector<BudgetRow> rows_of(std::vector<Target> const& targets, Report const& report) {
  std::vector<BudgetRow> rows;
  for (Target const& target : targets) {
    BudgetRow row{.target = target, .figure = report.find(target.figure)};
    if (row.figure != nullptr && target.of != Target::Of::time && row.figure->ratios.empty()) row.figure = nullptr;
    if (row.figure != nullptr) {
      if (target.of == Target::Of::time) row.value = row.figure->sample.median;
      if (target.of == Target::Of::ratio) row.value = row.figure->ratios.front().value;
      if (target.of == Target::Of::loss) row.value = 100 * (1 - 1 / row.figure->ratios.front().value);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace swiommu::bench
