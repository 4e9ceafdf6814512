// Mapping through /dev/iommu: a device of the VT-d profile is attached, memory is populated.
#include <sys/mman.h>
#include <unistd.h>

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

// So much of a memfd, and where a program has mapped it.
struct Memory {
  explicit Memory(std::uint64_t length) : bytes(length), file(::memfd_create("swiommu-bench", MFD_CLOEXEC)) {
    require(file.get() >= 0 && ::ftruncate(file.get(), static_cast<off_t>(length)) == 0, "no memfd");
    data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
    require(data != MAP_FAILED, "no memory to map");
  }
  ~Memory() { ::munmap(data, bytes); }
  Memory(Memory const&) = delete;
  Memory& operator=(Memory const&) = delete;
  std::uint64_t const bytes;
  Descriptor const file;
  void* data;
};

struct World {
  World(std::uint64_t bytes, bool only_small_leaves) : memory(bytes), front_end(vtd(only_small_leaves)) {
    std::uint32_t attached = front_end.ioas();
    needed(front_end.device().attach(attached));
  }
  [[nodiscard]] iommu_ioas_map map_call(std::uint64_t offset, std::uint64_t length) const {
    iommu_ioas_map call{.size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas()};
    call.user_va = std::bit_cast<std::uint64_t>(memory.data) + offset;
    call.length = length;
    call.iova = first_iova + offset;
    return call;
  }
  [[nodiscard]] iommu_ioas_unmap unmap_call(std::uint64_t offset, std::uint64_t length) const {
    return {.size = sizeof(iommu_ioas_unmap), .ioas_id = front_end.ioas(), .iova = first_iova + offset, .length = length};
  }
  // The memory is mapped in pieces of `length` bytes, and unmapped; the time of mapping, or of unmapping.
  double time(std::uint64_t length, std::uint64_t pieces, bool unmapping) {
    bool good = true;
    double const mapping = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) {
        auto call = map_call(n * length, length);
        good &= front_end.tried(IOMMU_IOAS_MAP, call);
      }
    });
    double const unmapped = nanoseconds([&] {
      for (std::uint64_t n = 0; n < pieces; n++) {
        auto call = unmap_call(n * length, length);
        good &= front_end.tried(IOMMU_IOAS_UNMAP, call);
      }
    });
    require(good, "an ioctl failed");
    return unmapping ? unmapped : mapping;
  }
  // The same through the file.
  double time_file(std::uint64_t length) {
    iommu_ioas_map_file call{
        .size = sizeof call, .flags = FrontEnd::read_write, .ioas_id = front_end.ioas(), .fd = memory.file.get()};
    call.length = length;
    call.iova = first_iova;
    bool good = true;
    double const took = nanoseconds([&] { good = front_end.tried(IOMMU_IOAS_MAP_FILE, call); });
    auto undo = unmap_call(0, length);
    require(good && front_end.tried(IOMMU_IOAS_UNMAP, undo), "an ioctl failed");
    return took;
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
            auto const world = std::make_shared<World>(at_a_time * page, false);
            return Run{[=](std::uint64_t operations) {
              double took = 0;
              for (std::uint64_t done = 0; done < operations; done += at_a_time)
                took += world->time(page, std::min(at_a_time, operations - done), unmapping);
              return took;
            }};
          }};
}

Measurement much(std::string series, std::uint64_t bytes, bool small_leaves, bool through_file, bool unmapping = false) {
  return {.label = label("ioctl, populated memory", std::move(series)), .prepare = [=] {
            auto const world = std::make_shared<World>(bytes, small_leaves);
            return Run{[=](std::uint64_t operations) {
              double took = 0;
              for (std::uint64_t n = 0; n < operations; n++)
                took += through_file ? world->time_file(bytes) : world->time(bytes, 1, unmapping);
              return took;
            }};
          }};
}

}  // namespace

std::vector<Measurement> ioctl_maps(Scope const& scope) {
  std::uint64_t const large = std::min(std::uint64_t{1} << 30, scope.most_pages * page);
  std::string const size = count_text(large) + "B";
  return {trivial(),
          one_page(false),
          one_page(true),
          much("MAP_FILE, " + size + ", large leaves", large, false, true),
          much("MAP_FILE, " + size + ", 4 KiB leaves", large, true, true),
          much("MAP, " + size + ", large leaves", large, false, false),
          much("MAP, " + size + ", 4 KiB leaves", large, true, false),
          much("UNMAP, " + size + ", large leaves", large, false, false, true),
          much("UNMAP, " + size + ", 4 KiB leaves", large, true, false, true)};
}

}  // namespace swiommu::bench
