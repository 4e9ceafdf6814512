#include "page_table/foreign_tables.h"
#include "page_table/formats/all_formats.h"
#include "page_table/typed_page_table.h"

namespace swiommu {

Result<std::unique_ptr<PageTable>> PageTable::open(UserPageTable const& table, MemoryView const& view, UserTableSource* source) {
  return guarded([&] {
    return with_format<std::unique_ptr<PageTable>>(table.format,
                                                   [&]<PageTableFormat F>(F const& format) -> Result<std::unique_ptr<PageTable>> {
                                                     return std::make_unique<TypedPageTable<F, ForeignTables>>(
                                                         format, ForeignTables(view, table.big_endian, source), table.root);
                                                   });
  });
}

Result<std::unique_ptr<PageTable>> PageTable::create_user(UserPageTable const& table, MemoryView const& view,
                                                          UserTableSource& source) {
  auto const root = guarded([&] {
    return with_format<std::uint64_t>(table.format, [&]<PageTableFormat F>(F const& format) -> Result<std::uint64_t> {
      unsigned const top = format.geometry().top();
      ForeignTables memory(view, table.big_endian, &source);
      return memory.template allocate<typename F::Entry>(table_size_lg2(format, top), format.empty(top));
    });
  });
  if (!root) return std::unexpected(root.error());
  UserPageTable described = table;
  described.root = *root;
  auto opened = open(described, view, &source);
  if (!opened) source.release(*root, 0);
  return opened;
}

}  // namespace swiommu
