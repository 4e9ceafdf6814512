#include "bench/measured_format.h"

#include "bench/failure.h"
#include "swiommu/profile/profile.h"

namespace swiommu::bench {

MeasuredFormat::MeasuredFormat(NamedFormat const& format)
    : named(format), shape(needed(PagingKind{.format = format.configuration}.shape())) {
  constexpr std::uint64_t usual_first = std::uint64_t{1} << 32;
  if (shape.lower.last > 2 * usual_first) first = usual_first;
}

}  // namespace swiommu::bench
