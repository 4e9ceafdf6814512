#include "memory/own_mappings.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>
#include <string_view>

namespace swiommu {
namespace {

// "7f0000000000-7f0000021000 rw-p ...", as far as it can be understood.
std::optional<OwnMapping> parse(std::string_view line) {
  OwnMapping mapping;
  char const* const end = std::to_address(line.end());
  auto const start = std::from_chars(std::to_address(line.begin()), end, mapping.range.start, 16);
  if (start.ec != std::errc() || start.ptr == end || *start.ptr != '-') return std::nullopt;
  std::uint64_t behind = 0;
  auto const last = std::from_chars(start.ptr + 1, end, behind, 16);
  if (last.ec != std::errc() || end - last.ptr < 5 || behind <= mapping.range.start) return std::nullopt;
  mapping.range.last = behind - 1;
  mapping.shared = last.ptr[4] == 's';
  return mapping;
}

class MapsFile {
 public:
  MapsFile() : descriptor_(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  MapsFile(MapsFile const&) = delete;
  MapsFile& operator=(MapsFile const&) = delete;
  ~MapsFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  // Calls `visit(line) -> bool` for the start of each line until it returns false.
  template <class Visit>
  Result<> for_each_line(Visit visit) {
    if (descriptor_ < 0) return fail(errno, "cannot open /proc/self/maps");
    std::array<char, 128> line;  // of which the first fields are all that is of interest
    std::size_t length = 0;
    std::array<char, 4096> buffer;
    for (;;) {
      ssize_t const got = ::read(descriptor_, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(errno, "cannot read /proc/self/maps");
      if (got == 0) return {};
      for (char const c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) {
        if (c != '\n') {
          if (length < line.size()) line[length++] = c;
          continue;
        }
        if (!visit(std::string_view(line.data(), length))) return {};
        length = 0;
      }
    }
  }

 private:
  int const descriptor_;
};

}  // namespace

Result<std::vector<OwnMapping>> own_mappings(Range range) {
  return guarded([&]() -> Result<std::vector<OwnMapping>> {
    std::vector<OwnMapping> found;
    SWIOMMU_TRY(MapsFile().for_each_line([&](std::string_view line) {
      auto mapping = parse(line);
      if (!mapping) return true;
      if (mapping->range.start > range.last) return false;
      if (auto const part = mapping->range.intersection(range)) found.push_back({*part, mapping->shared});
      return true;
    }));
    return found;
  });
}

}  // namespace swiommu
