#include "vfio/description_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "vfio/region.h"

namespace swiommu::vfio {
namespace {

Result<void> check_bars(std::vector<Bar> const& bars) {
  unsigned taken = 0;
  for (Bar const& bar : bars) {
    unsigned const numbers = (bar.wide ? 3u : 1u) << std::min(bar.number, 8u);
    if (numbers > 0x3f) return fail(EINVAL, fmt::format("there is no BAR {}, or none after it", bar.number));
    if ((taken & numbers) != 0) return fail(EINVAL, fmt::format("the number of BAR {} is taken", bar.number));
    taken |= numbers;
    if (bar.bytes < 4096 || !std::has_single_bit(bar.bytes) || bar.bytes > std::uint64_t{1} << (bar.wide ? region_shift : 31))
      return fail(EINVAL, fmt::format("BAR {} of {:#x} bytes", bar.number, bar.bytes));
  }
  return {};
}

Result<void> check_tables(ModelDescription const& model) {
  MsixTables const& tables = model.msix;
  if (tables.vectors == 0) return {};
  if (tables.vectors > 2048) return fail(EINVAL, fmt::format("{} vectors of MSI-X, and 2048 are the most", tables.vectors));
  auto const bar = std::ranges::find(model.bars, tables.bar, &Bar::number);
  if (bar == model.bars.end()) return fail(EINVAL, fmt::format("the tables of MSI-X are in BAR {}, which is none", tables.bar));
  std::uint64_t const table = tables.table_offset, pending = tables.pending_offset;
  if (table % 8 != 0 || pending % 8 != 0) return fail(EINVAL, "a table of MSI-X is not aligned to 8 bytes");
  std::uint64_t const table_end = table + msix_table_bytes(tables), pending_end = pending + msix_pending_bytes(tables);
  if (table_end > bar->bytes || pending_end > bar->bytes) return fail(EINVAL, "a table of MSI-X is not inside its BAR");
  if (table < pending_end && pending < table_end) return fail(EINVAL, "the tables of MSI-X overlap");
  return {};
}

}  // namespace

Result<void> check_description(ModelDescription const& model) {
  SWIOMMU_TRY(check_bars(model.bars));
  SWIOMMU_TRY(check_tables(model));
  if (model.msi_vectors != 0 && (model.msi_vectors > 32 || !std::has_single_bit(model.msi_vectors)))
    return fail(EINVAL, fmt::format("{} vectors of MSI, which is no power of two up to 32", model.msi_vectors));
  if (model.identity.class_code > 0xffffff) return fail(EINVAL, "a class code of more than 24 bits");
  return {};
}

}  // namespace swiommu::vfio
