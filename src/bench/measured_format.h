// A format as it is measured: which addresses are used.
#pragma once
#include <cstdint>

#include "profile/format_names.h"
#include "swiommu/page_table/page_table.h"

namespace swiommu::bench {

struct MeasuredFormat {
  NamedFormat named;
  TableShape shape;
  std::uint64_t first = 0;  // the lowest address that is used: 4 GiB where the format reaches that far

  explicit MeasuredFormat(NamedFormat const& format);
  [[nodiscard]] unsigned page_lg2() const { return shape.smallest_page_lg2(); }
  [[nodiscard]] bool has_leaves(unsigned size_lg2) const { return (shape.page_sizes & bit(size_lg2)) != 0; }
  // `count` pages from one on.
  [[nodiscard]] Range pages(std::uint64_t page, std::uint64_t count, unsigned size_lg2) const {
    return {first + (page << size_lg2), first + ((page + count) << size_lg2) - 1};
  }
  [[nodiscard]] Range pages(std::uint64_t page, std::uint64_t count) const { return pages(page, count, page_lg2()); }
  // Are there so many?
  [[nodiscard]] bool holds(std::uint64_t count, unsigned size_lg2) const {
    return count <= (shape.lower.last - first) >> size_lg2;
  }
  [[nodiscard]] bool holds(std::uint64_t count) const { return holds(count, page_lg2()); }
};

}  // namespace swiommu::bench
