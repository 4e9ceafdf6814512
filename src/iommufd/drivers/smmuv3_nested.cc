#include "iommufd/drivers/smmuv3_nested.h"

#include <fmt/format.h>

#include <algorithm>

#include "swiommu/domain/configured_domain.h"
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

}  // namespace

SmmuNested::SmmuNested(std::array<std::uint64_t, 2> words, std::shared_ptr<PagingDomain> parent,
                       smmuv3::Registers const& registers)
    : words_(words), parent_(std::move(parent)), registers_(registers) {}

SmmuNested::~SmmuNested() = default;

SmmuNested::Way SmmuNested::way() const {
  if ((words_[0] & 1) == 0) return Way::abort;
  switch (config_of(words_[0])) {
    case config_bypass: return Way::bypass;
    case config_contexts: return Way::contexts;
    default: return Way::abort;
  }
}

// With the parent's guest memory for memory, the entry's contexts and tables are where it says.
Result<std::shared_ptr<Domain>> SmmuNested::read_context(std::optional<Pasid> substream) const {
  WithEntry const memory(*parent_, words_);
  smmuv3::Registers registers = registers_;
  registers.strtab_base = WithEntry::place;
  auto const unit = smmuv3::Unit::create(registers, memory);
  if (!unit) return std::unexpected(unit.error());
  auto const configuration = unit->find(0, substream);
  if (!configuration) return nullptr;
  if (configuration->kind == DeviceConfiguration::Kind::bypass) return parent_;
  return open_configuration(parent_, *configuration);
}

Result<std::shared_ptr<Domain>> SmmuNested::domain() {
  if (!contexts_) {
    auto made = SwitchDomain::create(parent_);
    if (!made) return std::unexpected(std::move(made).error());
    contexts_ = std::move(*made);
  }
  SWIOMMU_TRY(refresh());
  return contexts_;
}

Result<void> SmmuNested::refresh() {
  if (!contexts_) return {};
  auto context = read_context(std::nullopt);
  if (!context) return std::unexpected(std::move(context).error());
  return contexts_->lead_to(std::move(*context));
}

Result<void> SmmuNested::invalidate_tables(Range iovas) { return contexts_ ? contexts_->invalidate(iovas) : Result<void>{}; }

void SmmuStreams::reserve(PhysicalDevice& device) {
  Lock const lock(mutex_);
  streams_.try_emplace(&device);
}

void SmmuStreams::forget(PhysicalDevice& device) noexcept {
  Lock const lock(mutex_);
  auto const at = streams_.find(&device);
  if (at != streams_.end() && at->second.nested == nullptr) streams_.erase(at);
}

void SmmuStreams::set(PhysicalDevice& device, SmmuNested* nested, std::shared_ptr<Viommu> viommu) noexcept {
  Stream old;
  Lock const lock(mutex_);
  auto const at = streams_.find(&device);
  if (at == streams_.end()) return;
  std::swap(old, at->second);
  for (auto const& [pasid, domain] : old.substreams) std::ignore = device.device()->detach(pasid);
  at->second.nested = nested;
  at->second.viommu = std::move(viommu);
}

std::shared_ptr<Viommu> SmmuStreams::viommu_of(PhysicalDevice const& device) const {
  Lock const lock(mutex_);
  auto const at = streams_.find(&device);
  return at == streams_.end() ? nullptr : at->second.viommu;
}

Result<void> SmmuStreams::context_changed(PhysicalDevice& device, Pasid substream) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    auto const at = streams_.find(&device);
    if (at == streams_.end() || at->second.nested == nullptr) return {};
    if (substream == 0) SWIOMMU_TRY(at->second.nested->refresh());
    return substream_changed(device, at->second, substream);
  });
}

Result<void> SmmuStreams::contexts_changed(PhysicalDevice& device) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    auto const at = streams_.find(&device);
    if (at == streams_.end() || at->second.nested == nullptr) return {};
    SWIOMMU_TRY(at->second.nested->refresh());
    for (auto next = at->second.substreams.begin(); next != at->second.substreams.end();) {
      Pasid const substream = next->first;
      ++next;
      SWIOMMU_TRY(substream_changed(device, at->second, substream));
    }
    return {};
  });
}

Result<void> SmmuStreams::substream_changed(PhysicalDevice& device, Stream& stream, Pasid substream) {
  auto context = stream.nested->read_context(substream);
  if (!context) return std::unexpected(std::move(context).error());
  auto const known = stream.substreams.find(substream);
  if (!*context) {
    if (known == stream.substreams.end()) return {};
    SWIOMMU_TRY(device.device()->detach(substream));
    stream.substreams.erase(known);
    return {};
  }
  if (known != stream.substreams.end()) return known->second->lead_to(std::move(*context));
  auto domain = SwitchDomain::create((*context)->parent() ? (*context)->parent() : *context);
  if (!domain) return std::unexpected(std::move(domain).error());
  SWIOMMU_TRY((*domain)->lead_to(std::move(*context)));
  auto const place = stream.substreams.emplace(substream, *domain).first;
  auto attached = device.device()->attach(*domain, substream);
  if (!attached) stream.substreams.erase(place);
  return attached;
}

Result<void> SmmuStreams::tables_changed(Viommu const& viommu, Range iovas) {
  Lock const lock(mutex_);
  for (auto& [device, stream] : streams_) {
    if (stream.viommu.get() != &viommu) continue;
    SWIOMMU_TRY(stream.nested->invalidate_tables(iovas));
    for (auto& [pasid, domain] : stream.substreams) SWIOMMU_TRY(domain->invalidate(iovas));
  }
  return {};
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
    return std::make_unique<SmmuNested>(words, viommu_.parent()->domain(), registers_);
  });
}

Result<void> SmmuViommu::invalidate(InvalidationArray& entries) {
  return guarded([&]() -> Result<void> {
    if (entries.type() != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
      return fail(EINVAL, "invalidation data of another type than ARM_SMMUV3");
    if (entries.entries() == 0) return fail(EINVAL, "no commands");
    std::vector<Command> commands;
    commands.reserve(entries.entries());
    for (std::uint32_t n = 0; n < entries.entries(); n++) {
      auto const command = entries.read_extensible<iommu_viommu_arm_smmuv3_invalidate>(n);
      if (!command) return std::unexpected(command.error());
      commands.push_back({command->cmd[0], command->cmd[1]});
    }
    for (std::uint32_t n = 0; n < commands.size(); n++) {
      SWIOMMU_TRY(run(commands[n]));
      entries.set_done(n + 1);
    }
    return {};
  });
}

// IHI 0070, 4.3 and 4.4.
Result<void> SmmuViommu::run(Command const& command) {
  auto const opcode = bit_field(command[0], 7, 0);
  switch (opcode) {
    case 0x10:  // TLBI_NH_ALL
    case 0x11:  // TLBI_NH_ASID
    case 0x30:  // TLBI_NSNH_ALL
      return streams_.tables_changed(viommu_, Range::all());
    case 0x12:                                             // TLBI_NH_VA
    case 0x13: {                                           // TLBI_NH_VAA
      auto const granule = bit_field(command[1], 11, 10);  // TG; 0: one address
      unsigned const granule_lg2 = granule < 2 ? 12 : granule == 2 ? 14 : 16;
      std::uint64_t const count = granule == 0 ? 1 : (bit_field(command[0], 16, 12) + 1) << bit_field(command[0], 24, 20);
      auto const iovas = Range::of_length(align_down(command[1], granule_lg2), count << granule_lg2);
      return streams_.tables_changed(viommu_, iovas.value_or(Range::all()));
    }
    case 0x05:    // CFGI_CD
    case 0x06:    // CFGI_CD_ALL
    case 0x40: {  // ATC_INV
      auto const stream = bit_field(command[0], 63, 32);
      auto const device = viommu_.find_device(stream);
      if (!device) return fail(EIO, fmt::format("command {:#x} is about the stream {:#x}, which no vDEVICE has", opcode, stream));
      if (opcode == 0x05) return streams_.context_changed(*device, static_cast<Pasid>(bit_field(command[0], 31, 12)));
      if (opcode == 0x06) return streams_.contexts_changed(*device);
      return streams_.tables_changed(viommu_, Range::all());
    }
    default: return fail(EIO, fmt::format("a command {:#x} that a guest may not give", opcode));
  }
}

}  // namespace swiommu::iommufd
