#include "swiommu/domain/configured_domain.h"

#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"

namespace swiommu {

namespace {

// A view through one table, without a domain: for looking at structures, not for DMA.
class TableView final : public MemoryView {
 public:
  TableView(std::unique_ptr<PageTable> table, MemoryView const& below) : table_(std::move(table)), below_(below) {}

  Chunk locate(std::uint64_t address, Access access) const override {
    Walk const walk = table_->walk(address, access, Update::no);
    if (!walk.ok()) return {};
    Chunk chunk = below_.locate(walk.output, access);
    std::uint64_t const rest = Range::block(address, walk.size_lg2).last - address;  // less one
    if (chunk && chunk.length - 1 > rest) chunk.length = rest + 1;
    return chunk;
  }

 private:
  std::unique_ptr<PageTable> table_;
  MemoryView const& below_;
};

}  // namespace

std::unique_ptr<MemoryView> open_parent(UserPageTable const& parent, MemoryView const& below) {
  auto table = PageTable::open(parent, below);
  if (!table) return nullptr;
  return std::make_unique<TableView>(std::move(*table), below);
}

Result<std::shared_ptr<Domain>> open_configuration(std::shared_ptr<Domain> parent, DeviceConfiguration const& configuration) {
  Limits const limits{configuration.aperture, configuration.rights};
  if (configuration.kind == DeviceConfiguration::Kind::bypass)
    return IdentityDomain::create(std::move(parent), limits, configuration.bypass_base);
  bool const parent_alone = !configuration.user && !configuration.user_upper && !configuration.lower_blocked;
  if (configuration.parent && !parent_alone) {
    auto under = NestedDomain::create(std::move(parent), configuration.parent);
    if (!under) return std::unexpected(std::move(under).error());
    parent = std::move(*under);
  }
  auto const& table = configuration.parent && parent_alone ? configuration.parent : configuration.user;
  return NestedDomain::create(std::move(parent), table, configuration.user_upper, limits);
}

}  // namespace swiommu
