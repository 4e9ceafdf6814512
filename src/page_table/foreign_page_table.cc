#include "page_table/foreign_tables.h"
#include "page_table/formats/all_formats.h"
#include "page_table/typed_page_table.h"

namespace swiommu {

Result<std::unique_ptr<PageTable>> PageTable::open(UserPageTable const& table, MemoryView const& view, UserTableSource* source) {
  return guarded([&] {
    return with_format<std::unique_ptr<PageTable>>(table.format, [&]<PageTableFormat F>(F const& format) -> Result<std::unique_ptr<PageTable>> {
      return std::make_unique<TypedPageTable<F, ForeignTables>>(format, ForeignTables(view, table.big_endian, source), table.root);
    });
  });
}

}  // namespace swiommu
