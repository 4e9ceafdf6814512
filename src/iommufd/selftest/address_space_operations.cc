#include <array>

#include "iommufd/ioas.h"
#include "iommufd/selftest/operations.h"

namespace swiommu::iommufd::selftest {

// Nobody takes the reservation back: it goes with the IOAS.
Result<void> add_reserved(TestCall const& call) {
  auto const [start, length] = call.arguments().add_reserved;
  if (length == 0) return fail(EINVAL, "no iovas to reserve");
  auto const range = Range::of_length(start, length);
  if (!range) return fail(EOVERFLOW, "iovas to reserve that leave the 64-bit space");
  auto const ioas = call.file().objects().find<Ioas>(call.arguments().id);
  if (!ioas) return std::unexpected(ioas.error());
  return (*ioas)->space().reserve(std::array{*range}, nullptr);
}

// Limits how many bytes the kernel collects of page numbers before it maps them, at least one element. We map what lies in a row
// in the host address space at once and collect nothing, so there is nothing to limit.
Result<void> memory_limit(TestCall const& call) {
  constexpr std::uint32_t least = 12;
  if (call.arguments().memory_limit < least) return fail(EINVAL, "a limit of less than 12 bytes");
  return {};
}

}  // namespace swiommu::iommufd::selftest
