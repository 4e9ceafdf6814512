// Mapping through /dev/iommu: a device of the VT-d profile is attached, memory is populated.
#include <fmt/format.h>

#include <algorithm>

#include "bench/failure.h"
#include "bench/figure_text.h"
#include "bench/front_end.h"
#include "bench/map_measurements.h"
#include "bench/populated_memory.h"
#include "swiommu/profile/load_profile.h"

namespace swiommu::bench {

namespace {

constexpr std::uint64_t first_iova = std::uint64_t{1} << 32;
constexpr std::uint64_t page = 4096;

Profile vtd(bool only_small_leaves) {
  Profile profile = needed(load_profile("intel-vtd"));
  if (only_small_leaves) profile.of(PagingUse::usual)->format.page_sizes = page;
  return profile;
}

struct World {
  World(Source source, std::uint64_t bytes, bool only_small_leaves) : memory(source, bytes), front_end(vtd(only_small_leaves)) {
    std::uint32_t attached = front_end.ioas();
    needed(front_end.device().attach(attached));
  }
  bool map(std::uint64_t offset, std::uint64_t length) {
    iommu_ioas_map call{.size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas()};
    call.user_va = memory.address() + offset;
    call.length = length;
    call.iova = first_iova + offset;
    return front_end.tried(IOMMU_IOAS_MAP, call);
  }
  bool map_file(std::uint64_t length) {
    iommu_ioas_map_file call{.size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas()};
    call.fd = memory.file();
    call.length = length;
    call.iova = first_iova;
    return front_end.tried(IOMMU_IOAS_MAP_FILE, call);
  }
  bool unmap(std::uint64_t offset, std::uint64_t length) {
    iommu_ioas_unmap call{.size = sizeof call, .ioas_id = front_end.ioas(), .iova = first_iova + offset, .length = length};
    return front_end.tried(IOMMU_IOAS_UNMAP, call);
  }
  // Maps pieces of `length` bytes, by file where there is one and it is one piece, and unmaps them; the time of either.
  double time(std::uint64_t length, std::uint64_t pieces, bool unmapping) {
    bool good = true;
    bool const by_file = memory.source() == Source::memfd && pieces == 1;
    double const mapping = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) good &= by_file ? map_file(length) : map(n * length, length);
    });
    double const unmapped = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) good &= unmap(n * length, length);
    });
    require(good, "an ioctl failed");
    return unmapping ? unmapped : mapping;
  }

  PopulatedMemory memory;
  FrontEnd front_end;
};

Label label(std::string chart, std::string series) {
  return {.suite = "map", .chart = std::move(chart), .series = std::move(series), .axis = "", .x = 0, .per = "ioctl"};
}

Measurement trivial() {
  return {.label = label("ioctl", "OPTION, which does next to nothing"), .prepare = [] {
            auto const front_end = std::make_shared<FrontEnd>(vtd(false));
            return Run{[=](std::uint64_t operations) {
              iommu_option call{.size = sizeof call, .option_id = IOMMU_OPTION_RLIMIT_MODE, .op = IOMMU_OPTION_OP_GET};
              bool good = true;
              double const took = nanoseconds([&] {
                for (std::uint64_t n = 0; n < operations; n++) good &= front_end->tried(IOMMU_OPTION, call);
              });
              require(good, "an ioctl failed");
              return took;
            }};
          }};
}

Measurement one_page(bool unmapping) {
  constexpr std::uint64_t at_a_time = 256;
  return {.label = label("ioctl", unmapping ? "UNMAP, 4 KiB" : "MAP, 4 KiB"), .prepare = [=] {
            auto const world = std::make_shared<World>(Source::huge_pages, at_a_time * page, false);
            return Run{[=](std::uint64_t operations) {
              double took = 0;
              for (std::uint64_t done = 0; done < operations; done += at_a_time)
                took += world->time(page, std::min(at_a_time, operations - done), unmapping);
              return took;
            }};
          }};
}

Measurement much(Source source, std::uint64_t bytes, bool small_leaves, bool unmapping) {
  auto series = fmt::format("{}, {}B {}, {} leaves",
                            unmapping                 ? "UNMAP"
                            : source == Source::memfd ? "MAP_FILE"
                                                      : "MAP",
                            count_text(bytes), name(source), small_leaves ? "4 KiB" : "large");
  return {.label = label("ioctl, populated memory", std::move(series)), .prepare = [=] {
            auto const world = std::make_shared<World>(source, bytes, small_leaves);
            return Run{[=](std::uint64_t operations) {
              double took = 0;
              for (std::uint64_t n = 0; n < operations; n++) took += world->time(bytes, 1, unmapping);
              return took;
            }};
          }};
}

}  // namespace

std::vector<Measurement> ioctl_maps(Scope const& scope) {
  std::uint64_t const bytes = std::min(std::uint64_t{1} << 30, scope.most_pages * page);
  std::vector<Measurement> all{trivial(), one_page(false), one_page(true)};
  struct Kind {
    Source source;
    bool small_leaves;
  };
  std::vector<Kind> kinds{
      {Source::memfd, false}, {Source::memfd, true}, {Source::huge_pages, false}, {Source::small_pages, true}};
  if (!scope.quick) kinds.insert(kinds.end(), {{Source::huge_pages, true}, {Source::small_pages, false}});
  for (Kind const& kind : kinds) all.push_back(much(kind.source, bytes, kind.small_leaves, false));
  for (Kind const& kind : kinds)
    if (!scope.quick || kind.source == Source::memfd) all.push_back(much(kind.source, bytes, kind.small_leaves, true));
  return all;
}

}  // namespace swiommu::bench
