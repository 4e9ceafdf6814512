#include "iommufd/drivers/riscv_nested.h"

#include <fmt/format.h>

#include "swiommu/base/bits.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

// What a guest may set of a device context: V, DTF, PDTV, SADE, DPE, SBE; PSCID.
constexpr std::uint64_t allowed_tc = bit(0) | bit(4) | bit(5) | bit_span(10, 8), allowed_ta = bit_span(31, 12);

Result<void> check(riscv::GuestContext const& context, riscv::Registers const& registers) {
  if ((context.tc & 1) == 0) return {};
  if (std::uint64_t const bits = context.tc & ~allowed_tc; bits != 0)
    return fail(EINVAL, fmt::format("tc of a device context, {:#x}, has bits that a guest may not set: {:#x}", context.tc, bits));
  if (std::uint64_t const bits = context.ta & ~allowed_ta; bits != 0)
    return fail(EINVAL, fmt::format("ta of a device context, {:#x}, has bits that a guest may not set: {:#x}", context.ta, bits));
  if (auto const why = riscv::GuestTranslation::misconfigured(context, registers); !why.empty())
    return fail(EINVAL, fmt::format("a misconfigured device context: {}", why));
  return {};
}

}  // namespace

Result<std::unique_ptr<DriverNested>> RiscvViommu::make_nested(std::uint32_t flags, UserData const& data, Caller& caller) {
  if (flags != 0) return fail(EOPNOTSUPP, "a nested HWPT of the RISC-V IOMMU has no flags");
  if (data.type != SWIOMMU_HWPT_DATA_RISCV)
    return fail(EOPNOTSUPP, fmt::format("data of type {:#x}, not SWIOMMU_HWPT_DATA_RISCV", data.type));
  auto const read = data.read<swiommu_hwpt_riscv>(caller, data.type, sizeof(swiommu_hwpt_riscv));
  if (!read) return std::unexpected(read.error());
  riscv::GuestContext const context{.tc = read->tc, .ta = read->ta, .fsc = read->fsc};
  return guarded([&]() -> Result<std::unique_ptr<DriverNested>> {
    SWIOMMU_TRY(check(context, registers_));
    auto const& parent = viommu().parent()->domain();
    auto domain = ContextDomain::create(parent, std::make_unique<riscv::GuestTranslation>(context, registers_, *parent));
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::make_unique<ContextNested>(*this, std::move(*domain));
  });
}

Result<void> RiscvViommu::invalidate(InvalidationArray& entries) {
  return run_all<swiommu_viommu_riscv_invalidate>(entries, SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV);
}

Result<void> RiscvViommu::run(Command const& command) {
  constexpr std::uint64_t vma = 0x001, device_directory = 0x003, process_directory = 0x083;  // func3 9:7, opcode 6:0
  constexpr std::uint64_t address_valid = bit(10), range = bit(9), device_valid = bit(33);   // AV; S, of the second word; DV
  auto const opcode = bit_field(command[0], 9, 0);
  switch (opcode) {
    case vma: {
      std::uint64_t const page = bit_field(command[1], 61, 10) << 12;
      bool const one = (command[0] & address_valid) != 0 && (command[1] & range) == 0;
      return tables_changed(one ? Range::block(page, 12) : Range::all());
    }
    case device_directory:
    case process_directory: {
      if ((command[0] & device_valid) == 0) return contexts_changed();
      auto const named = device(bit_field(command[0], 63, 40));
      if (!named) return std::unexpected(named.error());
      if (opcode == device_directory) return contexts_changed(**named);
      return context_changed(**named, static_cast<Pasid>(bit_field(command[0], 31, 12)));
    }
    default: return fail(EIO, fmt::format("a command {:#x} that a guest may not give", opcode));
  }
}

}  // namespace swiommu::iommufd
