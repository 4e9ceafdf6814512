#include <fmt/format.h>

#include "swiommu/vfio/ioat.h"
#include "vfio/devices/ioat/engine.h"

namespace swiommu::vfio {
namespace {

// A base peripheral of no other kind (PCI Code and ID Assignment Specification); Linux' drivers go by the numbers.
constexpr PciIdentity identity{.vendor = 0x8086,
                               .device = 0x2021,
                               .subsystem_vendor = 0x8086,
                               .subsystem = 0x0000,
                               .class_code = 0x088000,
                               .revision = 0x04};

constexpr std::uint64_t bar_bytes = 16 << 10;
constexpr std::uint32_t table_offset = 0x2000, pending_offset = 0x3000;

Result<> check(IoatOptions const& options) {
  if (options.channels < 1 || options.channels > 31)
    return fail(EINVAL, fmt::format("{} channels: an I/OAT engine has 1 to 31", options.channels));
  if (options.largest_transfer_lg2 < 12 || options.largest_transfer_lg2 > 31)
    return fail(EINVAL,
                fmt::format("a largest transfer of 2^{} bytes: the exponent may be 12 to 31", options.largest_transfer_lg2));
  return {};
}

ModelDescription describe(IoatOptions const& options) {
  return {.identity = identity,
          .bars = {{.number = 0, .bytes = bar_bytes, .prefetchable = false}},
          .msix = {.vectors = static_cast<std::uint16_t>(options.channels),
                   .bar = 0,
                   .table_offset = table_offset,
                   .pending_offset = pending_offset},
          .msi_vectors = 1,
          .line = true};
}

}  // namespace

Result<std::unique_ptr<ioat::Engine>> ioat::make_engine(Slot& slot, IoatOptions const& options) {
  return guarded([&]() -> Result<std::unique_ptr<Engine>> {
    SWIOMMU_TRY(check(options));
    return Engine::create(slot, options, describe(options));
  });
}

Result<std::unique_ptr<DeviceModel>> make_ioat(Slot& slot, IoatOptions const& options) {
  auto engine = ioat::make_engine(slot, options);
  if (!engine) return std::unexpected(std::move(engine).error());
  SWIOMMU_TRY((*engine)->start());
  return std::move(*engine);
}

}  // namespace swiommu::vfio
