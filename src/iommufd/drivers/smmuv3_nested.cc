#include "iommufd/drivers/smmuv3_nested.h"

#include <fmt/format.h>

#include "swiommu/domain/fixed_domains.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

// STE (IHI 0070, 5.2): V 0, Config 3:1, S1Fmt 5:4, S1ContextPtr 55:6 (Linux: 51:6), S1CDMax 63:59; S1DSS 65:64, S1CIR 67:66,
// S1COR 69:68, S1CSH 71:70, S1STALLD 91, EATS 93:92.
constexpr std::uint64_t allowed[2] = {bit(0) | bit_span(51, 1) | bit_span(63, 59), bit_span(7, 0) | bit(27) | bit_span(29, 28)};
constexpr unsigned config_abort = 0, config_bypass = 4, config_contexts = 5;
constexpr unsigned ats_abort = 0, ats_full = 1;

unsigned config_of(std::uint64_t word) { return static_cast<unsigned>(bit_field(word, 3, 1)); }

// A guest's memory with one stream table entry beyond it, which the hardware layer finds there.
class WithEntry final : public MemoryView {
 public:
  static constexpr std::uint64_t place = bit(55);  // no guest address is that large

  WithEntry(MemoryView const& guest, std::array<std::uint64_t, 2> words) : guest_(guest), entry_{words[0], words[1]} {}

  Chunk locate(std::uint64_t address, Access access) const override {
    if (address - place >= sizeof entry_) return guest_.locate(address, access);
    return {reinterpret_cast<std::byte*>(entry_.data()) + (address - place), sizeof entry_ - (address - place)};
  }

 private:
  MemoryView const& guest_;
  mutable std::array<std::uint64_t, 8> entry_;
};

// The contexts of one entry: with guest memory for memory, they are where it says.
class EntryContexts final : public ContextSource {
 public:
  EntryContexts(MemoryView const& guest, std::array<std::uint64_t, 2> words, smmuv3::Registers registers)
      : memory_(guest, words), unit_(smmuv3::Unit::create(at_entry(registers), memory_)) {}

  [[nodiscard]] std::expected<DeviceConfiguration, ConfigurationFault> find(std::uint32_t device,
                                                                            std::optional<std::uint32_t> pasid) const override {
    if (!unit_) return std::unexpected(ConfigurationFault{.about = "out of memory"});
    return unit_->find(device, pasid);
  }

 private:
  static smmuv3::Registers at_entry(smmuv3::Registers registers) {
    registers.strtab_base = WithEntry::place;
    return registers;
  }

  WithEntry const memory_;
  Result<smmuv3::Unit> const unit_;
};

}  // namespace

bool SmmuNested::is_entry(std::uint64_t address) { return address >= WithEntry::place; }

Result<std::shared_ptr<Domain>> SmmuNested::attach(PhysicalDevice& device, HwptNested& hwpt) {
  SWIOMMU_TRY(hwpt.viommu()->virtual_id(device));
  return domain();
}

Result<std::shared_ptr<Domain>> SmmuPlainNested::attach(PhysicalDevice& device, HwptNested& hwpt) {
  if (way_ == Way::abort) return BlockingDomain::create(device.device()->host());
  return hwpt.paging().domain();
}

void SmmuStreams::reserve(PhysicalDevice const& device) {
  Lock const lock(mutex_);
  viommus_.try_emplace(&device);
}

void SmmuStreams::forget(PhysicalDevice const& device) noexcept {
  Lock const lock(mutex_);
  if (auto const at = viommus_.find(&device); at != viommus_.end() && !at->second) viommus_.erase(at);
}

void SmmuStreams::set(PhysicalDevice const& device, std::shared_ptr<Viommu> viommu) noexcept {
  Lock const lock(mutex_);
  if (auto const at = viommus_.find(&device); at != viommus_.end()) at->second.swap(viommu);
}

std::shared_ptr<Viommu> SmmuStreams::viommu_of(PhysicalDevice const& device) const {
  Lock const lock(mutex_);
  auto const at = viommus_.find(&device);
  return at == viommus_.end() ? nullptr : at->second;
}

Result<std::unique_ptr<DriverNested>> SmmuViommu::make_nested(std::uint32_t flags, UserData const& data, Caller& caller) {
  if (flags != 0) return fail(EOPNOTSUPP, "a nested HWPT of the SMMUv3 has no flags");
  auto const read = data.read<iommu_hwpt_arm_smmuv3>(caller, IOMMU_HWPT_DATA_ARM_SMMUV3, sizeof(iommu_hwpt_arm_smmuv3));
  if (!read) return std::unexpected(read.error());
  std::array<std::uint64_t, 2> words{read->ste[0], read->ste[1]};
  if ((words[0] & 1) == 0) {
    words = {};  // not valid: nothing of it counts
  } else {
    for (unsigned n = 0; n < words.size(); n++)
      if ((words[n] & ~allowed[n]) != 0)
        return fail(EIO, fmt::format("word {} of the STE, {:#x}, has bits that a guest may not set: {:#x}", n, words[n],
                                     words[n] & ~allowed[n]));
    unsigned const config = config_of(words[0]);
    if (config != config_abort && config != config_bypass && config != config_contexts)
      return fail(EIO, fmt::format("an STE with Config = {}", config));
    auto const ats = bit_field(words[1], 29, 28);
    if (ats != ats_abort && ats != ats_full) return fail(EIO, fmt::format("an STE with EATS = {}", ats));
    words[1] &= ~bit_span(29, 28);
  }
  return guarded([&]() -> Result<std::unique_ptr<DriverNested>> {
    bool const valid = (words[0] & 1) != 0;
    if (!valid || config_of(words[0]) != config_contexts) {
      bool const bypass = valid && config_of(words[0]) == config_bypass;
      return std::make_unique<SmmuPlainNested>(bypass ? SmmuPlainNested::Way::bypass : SmmuPlainNested::Way::abort);
    }
    auto const& parent = viommu().parent()->domain();
    auto domain = ContextDomain::create(parent, std::make_unique<EntryContexts>(*parent, words, registers_));
    if (!domain) return std::unexpected(std::move(domain).error());
    return std::make_unique<SmmuNested>(*this, std::move(*domain));
  });
}

Result<void> SmmuViommu::invalidate(InvalidationArray& entries) {
  return run_all<iommu_viommu_arm_smmuv3_invalidate>(entries, IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3);
}

// IHI 0070, 4.3 and 4.4.
Result<void> SmmuViommu::run(Command const& command) {
  auto const opcode = bit_field(command[0], 7, 0);
  switch (opcode) {
    case 0x10:  // TLBI_NH_ALL
    case 0x11:  // TLBI_NH_ASID
    case 0x30:  // TLBI_NSNH_ALL
      return tables_changed(Range::all());
    case 0x12:                                             // TLBI_NH_VA
    case 0x13: {                                           // TLBI_NH_VAA
      auto const granule = bit_field(command[1], 11, 10);  // TG; 0: one address
      unsigned const granule_lg2 = granule < 2 ? 12 : granule == 2 ? 14 : 16;
      std::uint64_t const count = granule == 0 ? 1 : (bit_field(command[0], 16, 12) + 1) << bit_field(command[0], 24, 20);
      auto const iovas = Range::of_length(align_down(command[1], granule_lg2), count << granule_lg2);
      return tables_changed(iovas.value_or(Range::all()));
    }
    case 0x05:    // CFGI_CD
    case 0x06:    // CFGI_CD_ALL
    case 0x40: {  // ATC_INV
      auto const stream = device(bit_field(command[0], 63, 32));
      if (!stream) return std::unexpected(stream.error());
      if (opcode == 0x05) return context_changed(**stream, static_cast<Pasid>(bit_field(command[0], 31, 12)));
      if (opcode == 0x06) return contexts_changed(**stream);
      return tables_changed(Range::all());
    }
    default: return fail(EIO, fmt::format("a command {:#x} that a guest may not give", opcode));
  }
}

}  // namespace swiommu::iommufd
