#include "page_table/foreign_tables.h"
#include "page_table/formats/all_formats.h"
#include "page_table/typed_page_table.h"

namespace swiommu {

Result<std::unique_ptr<PageTable>> PageTable::open(UserPageTable const& table, MemoryView const& view, UserTableSource* source,
                                                   std::uint64_t budget) {
  return guarded([&] {
    return with_format<std::unique_ptr<PageTable>>(
        table.format, [&]<PageTableFormat F>(F const& format) -> Result<std::unique_ptr<PageTable>> {
          return std::make_unique<TypedPageTable<F, ForeignTables>>(format, ForeignTables(view, table.big_endian, source, budget),
                                                                    table.root);
        });
  });
}

Result<std::unique_ptr<PageTable>> PageTable::create_user(UserPageTable const& table, MemoryView const& view,
                                                          UserTableSource& source, std::uint64_t budget) {
  unsigned size_lg2 = 0;
  auto const root = guarded([&] {
    return with_format<std::uint64_t>(table.format, [&]<PageTableFormat F>(F const& format) -> Result<std::uint64_t> {
      unsigned const top = format.geometry().top();
      size_lg2 = table_size_lg2(format, top);
      ForeignTables memory(view, table.big_endian, &source);
      return memory.template allocate<typename F::Entry>(size_lg2, format.empty(top));
    });
  });
  if (!root) return std::unexpected(root.error());
  UserPageTable described = table;
  described.root = *root;
  auto opened = open(described, view, &source, budget);
  if (!opened) source.release(*root, size_lg2);
  return opened;
}

}  // namespace swiommu
