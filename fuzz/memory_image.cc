// Any bytes as a memory image: read as a file of each kind, then looked at through every segment it says it has.
#include "swiommu/memory/memory_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>

#include "fuzz_input.h"

using namespace swiommu;

namespace {

void look_at(MemoryImage const& image) {
  std::uint64_t after = 0;
  bool first = true;
  for (Range const& segment : image.segments()) {
    require(segment.start <= segment.last);
    require(first || segment.start >= after);  // ascending and disjoint
    first = false;
    after = segment.last + 1;
    std::array<std::byte, 64> buffer{};
    for (std::uint64_t const at : {segment.start, segment.start + (segment.last - segment.start) / 2, segment.last}) {
      Chunk const chunk = image.locate(at, Access::reading());
      require(chunk && chunk.length >= 1 && chunk.length - 1 <= segment.last - at);
      require(image.read(at, buffer.data(), 1) == 1);
      std::size_t const got = image.read(at, buffer.data(), buffer.size());
      if (got > 0) require(image.write(at, buffer.data(), got) == got);
      (void)image.load_word(at & ~std::uint64_t{7});
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  FuzzInput input(data, size);
  MemoryImageOptions options{.raw_base = {}, .unpacked_limit = std::uint64_t{1} << 20};
  if (input.below(16) == 0) options.raw_base = input.number();
  auto const bytes = input.rest();
  int const file = ::memfd_create("image", MFD_CLOEXEC);
  if (file < 0) return 0;
  if (::write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    auto const image = MemoryImage::load(fmt::format("/proc/self/fd/{}", file), options);
    if (image)
      look_at(**image);
    else
      require(!image.error().about.empty() && image.error().code != 0);
  }
  ::close(file);
  return 0;
}
