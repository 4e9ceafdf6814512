#include "iommufd/drivers/amd_nested.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "hardware/amd/device_table_entry.h"
#include "hardware/amd/features.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

// What Linux refuses of a guest's entry, in its order.
Result<void> check(amd::DeviceTableEntry const& entry, amd::Features const& features) {
  if (entry.mode() != 0 || entry.host_root() != 0)
    return fail(EINVAL, fmt::format("a guest's device table entry with a host table (Mode = {}, root {:#x})", entry.mode(),
                                    entry.host_root()));
  if (entry.valid() && entry.guest_valid() && entry.gcr3_root() == 0)
    return fail(EINVAL, "a guest's device table entry with guest translation (GV = 1) and a GCR3 table at 0");
  if (entry.guest_paging_mode() > 1)
    return fail(EINVAL, fmt::format("a guest's device table entry with GuestPagingMode = {}", entry.guest_paging_mode()));
  if (entry.gcr3_levels() == 4) return fail(EINVAL, "a guest's device table entry with GLX = 3");
  if (entry.guest_paging_mode() + 4 > features.guest_levels())
    return fail(EOPNOTSUPP, "guest tables of 5 levels, which this AMD IOMMU does not have (GATS)");
  return {};
}

// S = 1: the lowest address bit that is 0, from bit 12 on, is the highest one within the range (section 2.4.3).
Range range_of(std::uint64_t word) {
  bool const several = (word & 1) != 0;
  unsigned const zero = static_cast<unsigned>(std::countr_one(word | low_bits(12)));
  return Range::block(word, several ? std::min(zero + 1, 64u) : 12);
}

}  // namespace

Result<std::unique_ptr<DriverNested>> AmdViommu::make_nested(std::uint32_t flags, UserData const& data, Caller& caller) {
  if (flags != 0) return fail(EOPNOTSUPP, "a nested HWPT of AMD-Vi has no flags");
  if (data.type != IOMMU_HWPT_DATA_AMD_GUEST) return fail(EOPNOTSUPP, fmt::format("data of type {}, not AMD_GUEST", data.type));
  auto const read = data.read<iommu_hwpt_amd_guest>(caller, IOMMU_HWPT_DATA_AMD_GUEST, sizeof(iommu_hwpt_amd_guest));
  if (!read) return std::unexpected(read.error());
  amd::DeviceTableEntry const entry{std::to_array(read->dte)};
  SWIOMMU_TRY(check(entry, amd::Features(registers_)));
  return guarded([&]() -> Result<std::unique_ptr<DriverNested>> {
    auto const& parent = viommu().parent()->domain();
    auto domain = ContextDomain::create(parent, std::make_unique<amd::GuestTranslation>(entry.word, registers_, *parent));
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::make_unique<ContextNested>(*this, std::move(*domain), entry.domain());
  });
}

Result<void> AmdViommu::invalidate(InvalidationArray& entries) {
  return run_all<swiommu_viommu_amd_invalidate>(entries, SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD);
}

Result<void> AmdViommu::run(Command const& command) {
  constexpr std::uint64_t device_entry = 2, iommu_pages = 3, iotlb_pages = 4, all = 8;  // opcodes
  constexpr std::uint64_t guest_pages = bit(2);                                         // GN
  auto const opcode = bit_field(command[0], 63, 60);
  switch (opcode) {
    case iommu_pages: {
      auto const domain = static_cast<std::uint32_t>(bit_field(command[0], 47, 32));
      // A change of a GCR3 table has no command of its own.
      if ((command[1] & guest_pages) != 0) return contexts_changed(static_cast<Pasid>(bit_field(command[0], 19, 0)), domain);
      return tables_changed(range_of(command[1]), domain);
    }
    case device_entry:
    case iotlb_pages: {
      auto const named = device(bit_field(command[0], 15, 0));
      if (!named) return std::unexpected(named.error());
      return contexts_changed(**named);
    }
    case all: return contexts_changed();
    default: return fail(EIO, fmt::format("a command {:#x} that a guest may not give", opcode));
  }
}

}  // namespace swiommu::iommufd
