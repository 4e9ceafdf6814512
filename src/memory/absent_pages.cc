#include "memory/absent_pages.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <utility>

namespace swiommu {
namespace {

// Of linux/fs.h, since 6.7 and 6.11.
struct PageRegion {
  std::uint64_t start, end, categories;
};
struct PagemapScan {
  std::uint64_t size, flags, start, end, walk_end, regions, regions_length, most_pages;
  std::uint64_t inverted, all_of, any_of, returned;
};
struct ProcmapQuery {
  std::uint64_t size, flags, address, start, end, mapping_flags, page_size, offset, inode;
  std::uint32_t device_major, device_minor, name_size, build_id_size;
  std::uint64_t name, build_id;
};
constexpr std::uint64_t is_present = 1 << 3, is_zeros = 1 << 5;

constexpr auto scan_pages = _IOWR('f', 16, PagemapScan);
constexpr auto query_mapping = _IOWR('f', 17, ProcmapQuery);

}  // namespace

std::optional<AbsentPages> AbsentPages::open() {
  AbsentPages opened(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC), ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  ProcmapQuery query{};
  query.size = sizeof query;
  query.address = reinterpret_cast<std::uintptr_t>(&query);
  if (opened.maps_ < 0 || opened.pages_ < 0 || ::ioctl(opened.maps_, query_mapping, &query) != 0) return std::nullopt;
  return opened;
}

AbsentPages::AbsentPages(AbsentPages&& other) noexcept
    : maps_(std::exchange(other.maps_, -1)), pages_(std::exchange(other.pages_, -1)) {}

AbsentPages::~AbsentPages() {
  if (maps_ >= 0) ::close(maps_);
  if (pages_ >= 0) ::close(pages_);
}

std::optional<Range> AbsentPages::mapping(std::uint64_t address, Range range) const {
  ProcmapQuery query{};
  query.size = sizeof query;
  query.address = address;
  if (::ioctl(maps_, query_mapping, &query) != 0) return std::nullopt;
  return Range{query.start, query.end - 1}.intersection(range);
}

int AbsentPages::for_each(Range range, bool writable, FunctionRef<int(Range)> absent) const {
  std::array<PageRegion, 64> regions;
  for (std::uint64_t at = range.start;;) {
    PagemapScan scan{};
    scan.size = sizeof scan;
    scan.start = at;
    scan.end = range.last + 1;
    scan.regions = reinterpret_cast<std::uintptr_t>(regions.data());
    scan.regions_length = regions.size();
    scan.inverted = is_present;
    scan.any_of = scan.returned = is_present | (writable ? is_zeros : 0);
    int const count = ::ioctl(pages_, scan_pages, &scan);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    for (PageRegion const& region : std::span(regions).first(static_cast<std::size_t>(count)))
      if (int const code = absent({region.start, region.end - 1}); code != 0) return code;
    if (scan.walk_end > range.last) return 0;
    if (scan.walk_end <= at) return -1;
    at = scan.walk_end;
  }
}

}  // namespace swiommu
