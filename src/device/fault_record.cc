#include "swiommu/device/fault_record.h"

#include <fmt/format.h>

namespace swiommu {

namespace {

std::string_view words(Access access) {
  if (access.read && access.write) return "read and write";
  return access.write ? "write" : "read";
}

std::string table(FaultRecord const& record) {
  switch (record.domain) {
    case DomainKind::paging: return fmt::format("level {} of the paging domain's table", record.level);
    case DomainKind::nested:
      return record.depth == 0 ? fmt::format("level {} of the user page table", record.level)
                               : fmt::format("level {} of the table {} below the user page table", record.level, record.depth);
    case DomainKind::shadow: return fmt::format("level {} of the user page table", record.level);
    default: return std::string(name(record.domain)) + " domain";
  }
}

std::string cause(FaultRecord const& record) {
  std::string const where = fmt::format("entry at 0x{:x} = 0x{:x} ({})", record.entry_address, record.entry, table(record));
  switch (record.reason) {
    case Reason::none: return "no fault";
    case Reason::not_mapped:
      return record.entry_address == 0 && record.entry == 0 ? "nothing is mapped" : where + " maps nothing";
    case Reason::permission: return where + " does not allow it";
    case Reason::malformed: return where + " is not one that the architecture defines";
    case Reason::access_flag: return where + " has its accessed flag clear";
    case Reason::address_size: return where + " names an address beyond the output size";
    case Reason::out_of_range: return fmt::format("outside what the {} domain covers", name(record.domain));
    case Reason::table_unreachable:
      return fmt::format("the entry at 0x{:x} ({}) cannot be read: nothing is mapped there", record.entry_address, table(record));
    case Reason::output_unreachable: return fmt::format("the output is not mapped: {}", where);
    case Reason::configuration:
      if (record.domain != DomainKind::nested) return "the device is not attached to a domain";
      return fmt::format("the structure at 0x{:x} = 0x{:x} leads to no page table", record.entry_address, record.entry);
  }
  return "unknown";
}

}  // namespace

FaultRecord fault_of(Domain const& attached, Translation const& t, std::uint64_t iova, Access access) {
  Domain const* const where = t.where != nullptr ? t.where : &attached;
  std::uint8_t depth = 0;
  for (Domain const* d = &attached; d != nullptr && d != where; d = d->parent().get()) depth++;
  return {.iova = iova,
          .access = access,
          .reason = t.reason,
          .domain = where->kind(),
          .depth = depth,
          .level = t.walk.level,
          .entry_address = t.walk.entry_address,
          .entry = t.walk.entry};
}

std::string describe(FaultRecord const& record) {
  std::string const pasid = record.pasid ? fmt::format(" pasid 0x{:x}", *record.pasid) : "";
  return fmt::format("iova 0x{:x},{} {}: {}", record.iova, pasid, words(record.access), cause(record));
}

}  // namespace swiommu
