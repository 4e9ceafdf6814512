#include "iommufd/dirty_bitmap_writer.h"

#include <algorithm>
#include <span>

#include "swiommu/base/bits.h"

namespace swiommu::iommufd {

void DirtyBitmapWriter::set(Range dirty) {
  constexpr std::uint64_t window_bits = 8 * std::tuple_size_v<decltype(window_)>;
  std::uint64_t first = (dirty.start - base_) >> page_size_lg2_;
  std::uint64_t const last = (dirty.last - base_) >> page_size_lg2_;
  for (;;) {
    std::uint64_t const window = first / window_bits * window_bits;
    if (window / 8 != start_) {
      flush();
      start_ = window / 8;
    }
    std::uint64_t const end = std::min(last, window + (window_bits - 1));
    set_in_window(first - window, end - window);
    if (end == last) return;
    first = end + 1;
  }
}

void DirtyBitmapWriter::set_in_window(std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t byte = first / 8; byte <= last / 8; byte++) {
    unsigned const low = byte == first / 8 ? first % 8 : 0;
    unsigned const high = byte == last / 8 ? last % 8 : 7;
    window_[byte] |= static_cast<std::byte>(bit_span(high, low));
  }
  low_ = high_ == 0 ? first / 8 : std::min<std::size_t>(low_, first / 8);
  high_ = std::max<std::size_t>(high_, last / 8 + 1);
}

void DirtyBitmapWriter::flush() {
  std::array<std::byte, std::tuple_size_v<decltype(window_)>> bytes;
  auto const present = [](std::byte byte) { return byte != std::byte{0}; };
  auto const end = window_.begin() + static_cast<std::ptrdiff_t>(high_);
  for (auto at = window_.begin() + static_cast<std::ptrdiff_t>(low_); at != end;) {
    at = std::find_if(at, end, present);
    auto const stop = std::find_if_not(at, end, present);
    std::uint64_t const address = bitmap_ + start_ + static_cast<std::uint64_t>(at - window_.begin());
    auto const part = std::span(bytes).first(static_cast<std::size_t>(stop - at));
    if (!part.empty() && caller_.copy_in(address, part)) {
      std::ranges::transform(part, std::span(at, stop), part.begin(), std::bit_or<>());
      std::ignore = caller_.copy_out(address, part);
    }
    std::fill(at, stop, std::byte{0});
    at = stop;
  }
  low_ = high_ = 0;
}

}  // namespace swiommu::iommufd
