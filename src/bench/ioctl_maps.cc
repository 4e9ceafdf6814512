// Mapping through /dev/iommu: a device of the VT-d profile is attached, memory is populated.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "bench/failure.h"
#include "bench/figure_text.h"
#include "bench/front_end.h"
#include "bench/map_measurements.h"
#include "swiommu/base/descriptor.h"
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

// What is mapped: a memfd, or private memory by its address.
enum class Source : std::uint8_t { memfd, huge_pages, small_pages };
constexpr char const* name(Source source) {
  switch (source) {
    case Source::memfd: return "memfd";
    case Source::huge_pages: return "private, huge pages";
    case Source::small_pages: return "private, 4 KiB pages";
  }
  return "";
}

// So much of it, populated; private memory at a multiple of 2 MiB. A memfd has no holes: those would be looked for.
struct Memory {
  static constexpr std::uint64_t alignment = std::uint64_t{2} << 20;

  Memory(Source from, std::uint64_t length) : source(from), taken(source == Source::memfd ? length : length + alignment) {
    if (source == Source::memfd) {
      file = Descriptor(::memfd_create("swiommu-bench", MFD_CLOEXEC));
      require(file.get() >= 0 && ::ftruncate(file.get(), static_cast<off_t>(taken)) == 0, "no memfd");
    }
    int const flags = source == Source::memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    start = ::mmap(nullptr, taken, PROT_READ | PROT_WRITE, flags, file.get(), 0);
    require(start != MAP_FAILED, "no memory to map");
    data = std::bit_cast<std::uint64_t>(start);
    if (source != Source::memfd) data = (data + alignment - 1) & ~(alignment - 1);
    if (source != Source::memfd) ::madvise(start, taken, source == Source::huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    std::memset(std::bit_cast<void*>(data), 1, length);
  }
  ~Memory() { ::munmap(start, taken); }
  Memory(Memory const&) = delete;
  Memory& operator=(Memory const&) = delete;

  Source const source;
  std::uint64_t const taken;
  Descriptor file;
  void* start = nullptr;
  std::uint64_t data = 0;
};

struct World {
  World(Source source, std::uint64_t bytes, bool only_small_leaves) : memory(source, bytes), front_end(vtd(only_small_leaves)) {
    std::uint32_t attached = front_end.ioas();
    needed(front_end.device().attach(attached));
  }
  bool map(std::uint64_t offset, std::uint64_t length) {
    iommu_ioas_map call{.size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas()};
    call.user_va = memory.data + offset;
    call.length = length;
    call.iova = first_iova + offset;
    return front_end.tried(IOMMU_IOAS_MAP, call);
  }
  bool map_file(std::uint64_t length) {
    iommu_ioas_map_file call{.size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas()};
    call.fd = memory.file.get();
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
    bool const by_file = memory.source == Source::memfd && pieces == 1;
    double const mapping = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) good &= by_file ? map_file(length) : map(n * length, length);
    });
    double const unmapped = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) good &= unmap(n * length, length);
    });
    require(good, "an ioctl failed");
    return unmapping ? unmapped : mapping;
  }

  Memory memory;
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
