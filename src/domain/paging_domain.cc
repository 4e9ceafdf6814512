#include "swiommu/domain/paging_domain.h"

#include <fmt/format.h>

#include "base/sabotage.h"

namespace swiommu {

Result<std::shared_ptr<PagingDomain>> PagingDomain::create(Host const& host, FormatConfiguration const& format, Limits limits) {
  return guarded([&]() -> Result<std::shared_ptr<PagingDomain>> {
    auto table = PageTable::create(format, host.tables);
    if (!table) return std::unexpected(std::move(table).error());
    return std::shared_ptr<PagingDomain>(new PagingDomain(host, std::move(*table), limits));
  });
}

Translation PagingDomain::look_up(std::uint64_t input, Access access, Update update, ParentReader*) const {
  Translation t{.where = this, .walk = table_->walk(input, access, update)};
  t.reason = t.walk.reason;
  t.output = t.walk.output;
  t.size_lg2 = t.walk.size_lg2;
  t.attributes = t.walk.attributes;
  return t;
}

// What Domain::locate does, without a Translation: tables that lie in guest memory ask for each of their words.
Chunk PagingDomain::locate(std::uint64_t address, Access access) const {
  if (!is_unlimited()) return Domain::locate(address, access);
  Walk const walk = table_->walk(address, access, Update::yes);
  if (!walk.ok()) return {};
  Chunk chunk = host().memory->locate(walk.output, access);
  if (!chunk) return {};
  std::uint64_t const rest = Range::block(address, walk.size_lg2).last - address;  // less one
  chunk.length = std::min(chunk.length - 1, rest) + 1;
  return chunk;
}

std::uint64_t PagingDomain::end_of_run(std::uint64_t input, Translation const& first, std::uint64_t last) const {
  std::uint64_t end = Domain::end_of_run(input, first, last);
  last = std::min(last, limits().aperture.last);
  if (end >= last) return end;
  VisitLimit limit{.joins = true};
  auto const goes_on = [&](Leaf const& leaf) {
    Attributes attributes = leaf.attributes;
    attributes.access = attributes.access & limits().rights;
    if (leaf.range.start != end + 1 || leaf.output != first.output + (leaf.range.start - input) || attributes != first.attributes)
      return false;
    end = leaf.range.last;
    return true;
  };
  table_->visit_some({end + 1, last}, goes_on, limit);
  return end;
}

Result<void> PagingDomain::check_rights(Range guest, Attributes attributes) const {
  if (!limits().writable_only || attributes.access.write) return {};
  return fail(EINVAL, fmt::format("{:#x}-{:#x} is to be mapped without write permission: this domain maps writable memory only",
                                  guest.start, guest.last));
}

Result<void> PagingDomain::map(Range guest, HostAddress output, Attributes attributes, unsigned largest_leaf_lg2) {
  SWIOMMU_TRY(refuse_inside_guard());
  SWIOMMU_TRY(check_rights(guest, attributes));
  Gather gather;
  SWIOMMU_TRY(table_->map(guest, output.value, attributes, Existing::refuse, Cut::refuse, gather, largest_leaf_lg2));
  // Nothing cached can be stale, but a walker may still be in an empty table whose place a large leaf has taken.
  if (gather.has_tables()) wait_for_listeners();
  gather.finish();
  tell_gained(guest);
  return {};
}

Result<void> PagingDomain::replace(Range guest, HostAddress output, Attributes attributes) {
  SWIOMMU_TRY(refuse_inside_guard());
  SWIOMMU_TRY(check_rights(guest, attributes));
  Gather gather;
  SWIOMMU_TRY(table_->map(guest, output.value, attributes, Existing::replace, Cut::split, gather));
  make_stale(guest);
  wait_for_listeners();
  gather.finish();
  return {};
}

Result<std::uint64_t> PagingDomain::unmap(Range guest, Cut cut) {
  SWIOMMU_TRY(refuse_inside_guard());
  Gather gather;
  auto const bytes = table_->unmap(guest, cut, gather);
  if (!bytes) return bytes;
  make_stale(guest);
  wait_for_listeners();
  gather.finish();
  return bytes;
}

Result<void> PagingDomain::read_dirty(Range guest, Clear clear, FunctionRef<void(Range)> report) {
  SWIOMMU_TRY(refuse_inside_guard());
  if (sabotaged("dirty-bits-kept")) clear = Clear::no;
  SWIOMMU_TRY(table_->read_flags(Flag::dirty, guest, clear, report));
  // A port that has cached "dirty already" must set the flag anew, and what it is writing now must be visible.
  if (clear == Clear::yes) make_stale(guest);
  wait_for_listeners();
  return {};
}

}  // namespace swiommu
