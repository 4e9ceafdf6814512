// The addresses that look-ups are done at: random pages, made on the way, so that no list of them takes room in the caches.
#pragma once
#include <bit>
#include <cstdint>
#include <string_view>

#include "bench/measurement.h"

namespace swiommu::bench {

// independent: the processor may overlap look-ups. dependent: each address needs the result of the one before.
enum class Addresses : std::uint8_t { independent, dependent };
constexpr std::string_view name(Addresses addresses) { return addresses == Addresses::independent ? "independent" : "dependent"; }

// Goes on where it was at each call, so that what is large is not taken for small by going over the same few pages again.
class RandomPages {
 public:
  // `pages`: a power of two.
  explicit RandomPages(std::uint64_t pages) : mask_(pages - 1) {}

  [[nodiscard]] std::uint64_t next() {
    std::uint64_t word = ++count_ * 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 32) * 0xd6e8feb86659fd93u;
    return (word ^ word >> 32) & mask_;
  }

 private:
  std::uint64_t const mask_;
  std::uint64_t count_ = 0;
};

// Times `look(page)`, which returns something below 2^63 that it found there. `Order` is a RandomPages, or alike.
template <class Order, class Look>
double time_looks(Addresses addresses, Order& order, std::uint64_t operations, Look look) {
  return nanoseconds([&] {
    std::uint64_t found = 0;
    if (addresses == Addresses::dependent) {
      for (std::uint64_t n = 0; n < operations; n++) found = look(order.next() + (found >> 63));
    } else {
      for (std::uint64_t n = 0; n < operations; n++) found += look(order.next());
    }
    keep(found);
  });
}

}  // namespace swiommu::bench
