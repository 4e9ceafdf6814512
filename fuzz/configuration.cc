// Any memory and any registers as the structures of each IOMMU: the device's configuration is found and used, or refused.
#include "fuzz_input.h"
#include "small_memory.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/mapping_visit.h"
#include "tools/iommu_kinds.h"

using namespace swiommu;

namespace {

constexpr struct {
  char const* kind;
  char const* registers[9];
} iommus[] = {
    {"vtd", {"RTADDR", "CAP", "ECAP", "GSTS"}},
    {"smmu", {"STRTAB_BASE", "STRTAB_BASE_CFG", "CR0", "CR2", "GBPA", "IDR0", "IDR1", "IDR3", "IDR5"}},
    {"amd", {"DEVTAB", "CONTROL", "EXTFEAT", "STATUS"}},
    {"riscv", {"CAPABILITIES", "DDTP", "FCTL"}},
    {"s390", {"IOTA", "PBA", "PAL", "SDMA"}},
};

void use(Domain const& domain, std::uint64_t const (&iovas)[4]) {
  for (std::uint64_t const iova : iovas)
    for (Access const access : {Access::reading(), Access::writing()}) {
      Translation const t = domain.translate(iova, access, Update::yes);
      require(t.ok() ? t.attributes.access.covers(access) : t.where != nullptr);
      std::uint64_t word = 0;
      require(domain.read(iova, &word, sizeof word) <= sizeof word);
    }
  unsigned seen = 0;
  visit_coalesced(domain, Range::all(), [&](MappedRange const&) { return ++seen < 100; }, 1 << 12);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  FuzzInput input(data, size);
  auto const& iommu = iommus[input.below(std::size(iommus))];
  tools::RegisterValues registers;
  for (unsigned n = 0; n < std::size(iommu.registers) && iommu.registers[n] != nullptr; n++) switch (input.below(4)) {
      case 0: registers[iommu.registers[n]] = input.number(); break;
      case 1: registers[iommu.registers[n]] = input.take<std::uint32_t>(); break;
      case 2: registers[iommu.registers[n]] = SmallMemory::base | input.take<std::uint16_t>(); break;
      default: break;  // not given
    }
  std::uint32_t const device = input.flag() ? input.take<std::uint8_t>() : input.take<std::uint32_t>();
  std::optional<std::uint32_t> pasid;
  if (input.flag()) pasid = input.flag() ? input.take<std::uint8_t>() : input.take<std::uint32_t>();
  std::uint64_t iovas[4];
  for (std::uint64_t& iova : iovas) iova = input.flag() ? input.number() : std::uint64_t{input.take<std::uint16_t>()} << 6;
  auto const memory = std::make_shared<SmallMemory>(input);
  static auto const host = Host::create(std::make_shared<SmallMemory>(input));  // what it reserves is slow to make
  if (!host) return 0;
  auto const guest_memory = IdentityDomain::create(Host{memory, host->tables, host->grace});
  auto const opened = tools::open_iommu(iommu.kind, registers, tools::UnknownRegisters::refuse, **guest_memory);
  if (!opened) {
    require(!opened.error().about.empty());
    return 0;
  }
  auto const found = (*opened)->find(device, pasid);
  if (!found) {
    require(!found.error().about.empty());
    return 0;
  }
  require(found->kind == DeviceConfiguration::Kind::bypass || found->user || found->user_upper || found->parent ||
          found->lower_blocked);
  if (auto const domain = open_configuration(*guest_memory, *found)) use(**domain, iovas);
  return 0;
}
