#include "run/memory_map.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "run/kernel_call.h"

namespace swiommu::run {
namespace {

bool number(std::string_view& text, std::uint64_t& value, int base, char after) {
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (!text.starts_with(after)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<MappedRange> parse_mapped_range(std::string_view line) {
  MappedRange range;
  if (!number(line, range.start, 16, '-') || !number(line, range.end, 16, ' ') || line.size() < 5) return {};
  range.readable = line[0] == 'r';
  range.writable = line[1] == 'w';
  range.executable = line[2] == 'x';
  range.shared = line[3] == 's';
  line.remove_prefix(5);
  std::uint64_t major = 0, minor = 0;
  if (!number(line, range.offset, 16, ' ') || !number(line, major, 16, ':') || !number(line, minor, 16, ' ')) return {};
  auto const [end, error] = std::from_chars(line.data(), line.data() + line.size(), range.inode);
  if (error != std::errc()) return {};
  range.device = major << 32 | minor;
  line.remove_prefix(static_cast<std::size_t>(end - line.data()));
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  range.name = line;
  return range;
}

MemoryMap::MemoryMap()
    : descriptor_(static_cast<int>(kernel_call(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC))) {}
MemoryMap::~MemoryMap() {
  if (descriptor_ >= 0) kernel_call(SYS_close, descriptor_);
}

bool MemoryMap::fill() {
  std::copy(text_.begin() + static_cast<std::ptrdiff_t>(begin_), text_.begin() + static_cast<std::ptrdiff_t>(end_),
            text_.begin());
  end_ -= begin_;
  begin_ = 0;
  long got = 0;
  do got = kernel_call(SYS_read, descriptor_, text_.data() + end_, text_.size() - end_);
  while (got == -EINTR);
  if (got <= 0) return false;
  end_ += static_cast<std::size_t>(got);
  return true;
}

std::optional<MappedRange> MemoryMap::next() {
  for (;;) {
    std::string_view const text(text_.data() + begin_, end_ - begin_);
    if (auto const length = text.find('\n'); length != std::string_view::npos) {
      begin_ += length + 1;
      return parse_mapped_range(text.substr(0, length));
    }
    if (descriptor_ < 0 || !fill()) return {};
  }
}

}  // namespace swiommu::run
