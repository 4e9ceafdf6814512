#include "page_table/formats/all_formats.h"
#include "page_table/own_tables.h"
#include "page_table/typed_page_table.h"

namespace swiommu {

namespace {

template <PageTableFormat F>
class OwnPageTable final : public TypedPageTable<F, OwnTables> {
 public:
  using TypedPageTable<F, OwnTables>::TypedPageTable;

  ~OwnPageTable() override {
    Gather gather;
    Mapper<F, OwnTables>(this->format(), this->memory()).retire(this->root(), this->format().geometry().top(), gather);
    gather.finish();
  }
};

}  // namespace

Result<std::unique_ptr<PageTable>> PageTable::create(FormatConfiguration const& configuration,
                                                     std::shared_ptr<TableAllocator> allocator) {
  return guarded([&] {
    return with_format<std::unique_ptr<PageTable>>(
        configuration, [&]<PageTableFormat F>(F const& format) -> Result<std::unique_ptr<PageTable>> {
          OwnTables memory(allocator);
          unsigned const top = format.geometry().top();
          unsigned const size_lg2 = table_size_lg2(format, top);
          auto const root = memory.allocate<typename F::Entry>(size_lg2, format.empty(top));
          if (!root) return std::unexpected(root.error());
          try {
            return std::make_unique<OwnPageTable<F>>(format, memory, *root);
          } catch (std::bad_alloc const&) {
            memory.release(*root, size_lg2);
            return out_of_memory();
          }
        });
  });
}

}  // namespace swiommu
