#include "swiommu/domain/nested_domain.h"

#include <algorithm>

#include "swiommu/base/bits.h"

namespace swiommu {

Result<UserTables> UserTables::open(std::optional<UserPageTable> const& table, std::optional<UserPageTable> const& upper,
                                    MemoryView const& memory) {
  UserTables tables;
  for (auto const& [description, place] : {std::pair{&table, &tables.table_}, std::pair{&upper, &tables.upper_}}) {
    if (!*description) continue;
    auto opened = PageTable::open(**description, memory);
    if (!opened) return std::unexpected(std::move(opened).error());
    *place = std::move(*opened);
  }
  return tables;
}

PageTable const* UserTables::serving(std::uint64_t iova) const {
  // Where there is a table for the upper half bit 55 chooses (Arm DDI 0487, D8.2.4); without one, `table_` serves all.
  if (upper_ && (iova >> 55 & 1) != 0) return upper_.get();
  return table_.get();
}

bool UserTables::keep_flags() const {
  for (auto const* const table : {&table_, &upper_})
    if (*table && ((*table)->shape().tracks_accessed || (*table)->shape().tracks_dirty)) return true;
  return false;
}

bool UserTables::visit(Range iovas, FunctionRef<bool(Leaf const&)> visit, std::uint64_t budget) const {
  for (auto const* const table : {&table_, &upper_})
    if (*table && !(*table)->visit(iovas, visit, budget)) return false;
  return true;
}

namespace {

bool may_keep_lowest_tables(PageTable const& table, Domain const& parent) {
  return table.shape().has_lowest_tables && !parent.doubtful();
}

}  // namespace

Result<std::shared_ptr<NestedDomain>> NestedDomain::create(std::shared_ptr<Domain> parent,
                                                           std::optional<UserPageTable> const& table,
                                                           std::optional<UserPageTable> const& upper, Limits limits) {
  return guarded([&]() -> Result<std::shared_ptr<NestedDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<NestedDomain> domain(new NestedDomain(host, parent, limits));
    auto tables = UserTables::open(table, upper, *parent);
    if (!tables) return std::unexpected(std::move(tables).error());
    domain->tables_ = std::move(*tables);
    if (!upper && table && may_keep_lowest_tables(*domain->table_for(0), *parent)) domain->short_way_ = domain->table_for(0);
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

Translation NestedDomain::look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const {
  PageTable const* const table = table_for(input);
  if (table == nullptr) return {.reason = Reason::not_mapped, .where = this};
  return walk_through_parent(*this, *table, input, access, update, reader);
}

KeptBlock NestedDomain::page_through(ParentReader& reader, std::uint64_t input, Access access) const {
  if (short_way_ == nullptr || !is_unlimited()) return {};
  LowestTable const lowest = reader.lowest_table(input, access);
  Walk walk;
  if (lowest.words == nullptr || !short_way_->walk_lowest(lowest, input, access, Update::yes, walk)) return {};
  if (walk.size_lg2 != KeptBlock::page_lg2) return {};
  KeptBlock page = reader.kept(*parent(), walk.output, access);
  if (page.data == nullptr || page.size_lg2 < KeptBlock::page_lg2) return {};
  page.size_lg2 = KeptBlock::page_lg2;
  page.access = page.access & walk.attributes.access;
  return page;
}

Translation walk_through_parent(Domain const& domain, PageTable const& table, std::uint64_t input, Access access, Update update,
                                ParentReader* reader) {
  if (reader == nullptr) return through_parent(domain, table.walk(input, access, update), access, update);
  Domain const& parent = *domain.parent();
  bool const may_keep = may_keep_lowest_tables(table, parent);
  LowestTable const lowest = may_keep ? reader->lowest_table(input, access) : LowestTable();
  Walk walk;
  if (lowest.words != nullptr && table.walk_lowest(lowest, input, access, update, walk))
    return through_parent(domain, walk, access, update, reader);
  ParentMemory const memory(*reader, parent);
  walk = table.walk(input, access, update, &memory);
  if (may_keep && lowest.words == nullptr && walk.ok() && walk.level == 0) {
    Chunk const words = reader->locate(parent, align_down(walk.entry_address, LowestTable::bytes_lg2), Access::reading());
    if (words && words.length >= bit(LowestTable::bytes_lg2)) reader->keep_lowest_table(input, {words.data, walk.above});
  }
  return through_parent(domain, walk, access, update, reader);
}

Translation through_parent(Domain const& domain, Walk const& walk, Access access, Update update, ParentReader* reader) {
  Translation t{.reason = walk.reason, .where = &domain, .walk = walk, .size_lg2 = walk.size_lg2};
  t.attributes = walk.attributes;
  if (!walk.ok()) return t;
  Domain const& parent = *domain.parent();
  if (reader != nullptr)
    if (KeptBlock const under = reader->kept(parent, walk.output, access); under.data != nullptr) {
      t.data = under.data;
      t.size_lg2 = std::min(walk.size_lg2, under.size_lg2);
      t.attributes.access = walk.attributes.access & under.access;
      return t;
    }
  Translation const under =
      reader != nullptr ? reader->translate(parent, walk.output, access) : parent.translate(walk.output, access, update);
  if (!under.ok()) {
    t.reason =
        under.reason == Reason::not_mapped || under.reason == Reason::out_of_range ? Reason::output_unreachable : under.reason;
    t.where = under.where;
    t.walk = under.walk;
    return t;
  }
  t.output = under.output;
  t.data = under.data;
  t.size_lg2 = std::min(walk.size_lg2, under.size_lg2);
  t.attributes.access = walk.attributes.access & under.attributes.access;
  t.attributes.coherent = walk.attributes.coherent || under.attributes.coherent;
  return t;
}

bool NestedDomain::visit(Range iovas, FunctionRef<bool(Leaf const&)> visit, std::uint64_t budget) const {
  auto const part = limits().aperture.intersection(iovas);
  if (!part) return true;
  auto const clipped = [&](Leaf const& leaf) {
    Leaf shown = leaf;
    shown.attributes.access = leaf.attributes.access & limits().rights;
    return visit(shown);
  };
  return tables_.visit(*part, clipped, budget);
}

}  // namespace swiommu
