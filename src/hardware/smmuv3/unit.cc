// The order of the checks is that of IHI 0070, 3.3.
#include <fmt/format.h>

#include <utility>

#include "hardware/smmuv3/context_descriptor.h"
#include "hardware/smmuv3/stream_table.h"
#include "hardware/smmuv3/stream_table_entry.h"
#include "hardware/structure_path.h"
#include "swiommu/hardware/smmuv3.h"

namespace swiommu::smmuv3 {

namespace {

std::string describe(UserPageTable const& table) {
  return fmt::format("table at {:#x}, {} levels, {} KiB granule, {} input and {} output bits{}", table.root, table.format.levels,
                     1u << (table.format.granule_lg2 - 10), table.format.input_bits, table.format.output_bits,
                     table.big_endian ? ", big-endian" : "");
}

std::string describe(std::optional<UserPageTable> const& table) { return table ? describe(*table) : "no table"; }

// One search: what is known of the stream so far.
class Search {
 public:
  Search(Registers const& registers, MemoryView const& memory, ParentOpener const& open_parent)
      : registers_(registers), features_(registers), memory_(memory), open_parent_(open_parent) {}

  Configuration run(std::uint32_t stream, std::optional<std::uint32_t> substream) {
    if (registers_.cr0 && (*registers_.cr0 & 1) == 0) return disabled();
    auto const words = find_stream_table_entry(registers_, features_, memory_, stream, path_);
    if (!words) return std::unexpected(words.error());
    StreamTableEntry const ste(*words, features_);
    if (!ste.valid()) return path_.fault("is not valid (V = 0), C_BAD_STE");
    if (ste.aborts()) return path_.fault(fmt::format("aborts all DMA (Config = {}), no event is recorded", ste.config()));
    if (std::string const why = ste.illegal(); !why.empty()) return illegal_ste(why);

    std::optional<UserPageTable> stage2;
    if (ste.translates_stage2()) {
      auto const table = ste.stage2_table();
      if (!table) return illegal_ste(table.error());
      stage2 = *table;
    }
    std::string meaning = fmt::format("Config = {}", ste.config());
    if (stage2) meaning += fmt::format(", stage 2: {}", describe(stage2));
    if (ste.translates_stage1())
      meaning += fmt::format(", CD table at {:#x}{}", ste.context_pointer(), stage2 ? " behind stage 2" : "");
    path_.means(std::move(meaning));
    if (ste.translates_stage1()) return with_stage1(ste, substream, stage2);
    if (substream) return path_.fault(fmt::format("has stage 1 off, so no SubstreamID {:#x}, C_BAD_SUBSTREAMID", *substream));
    return without_stage1(stage2);
  }

 private:
  Configuration disabled() {
    path_.register_value("CR0", *registers_.cr0, "the SMMU is off (SMMUEN = 0)");
    if (registers_.gbpa) {
      bool const aborts = bit_field(*registers_.gbpa, 20, 20) != 0;
      path_.register_value("GBPA", *registers_.gbpa, aborts ? "" : "bypass");
      if (aborts) return path_.fault("aborts all DMA while the SMMU is off (ABORT = 1)");
    }
    return without_stage1(std::nullopt);
  }

  Configuration illegal_ste(std::string const& why) { return path_.fault(fmt::format("is illegal: {}, C_BAD_STE", why)); }

  Configuration without_stage1(std::optional<UserPageTable> const& stage2) {
    DeviceConfiguration configuration;
    if (!stage2) configuration.kind = DeviceConfiguration::Kind::bypass;
    configuration.user = stage2;
    configuration.steps = path_.take();
    return configuration;
  }

  Configuration with_stage1(StreamTableEntry const& ste, std::optional<std::uint32_t> substream,
                            std::optional<UserPageTable> const& stage2) {
    using Default = StreamTableEntry::DefaultSubstream;
    unsigned const bits = ste.substream_bits();
    if (substream) {
      if (shift_right(*substream, bits) != 0 || bits == 0)
        return path_.fault(fmt::format("has no SubstreamID {:#x} (S1CDMax = {}), C_BAD_SUBSTREAMID", *substream, bits));
      if (*substream == 0 && ste.default_substream() == Default::zero)
        return path_.fault("keeps SubstreamID 0 for DMA without one (S1DSS = 2), F_STREAM_DISABLED");
    } else if (bits != 0) {
      if (ste.default_substream() == Default::bypass) return without_stage1(stage2);
      if (ste.default_substream() == Default::terminate)
        return path_.fault("terminates DMA without a SubstreamID (S1DSS), F_STREAM_DISABLED");
    }
    std::unique_ptr<MemoryView> through_parent;
    if (stage2) {
      if (open_parent_) through_parent = open_parent_(*stage2, memory_);
      if (!through_parent) return path_.fault("has its CD behind stage 2, and nothing was given that reads through stage 2");
    }
    auto const words = find_context_descriptor(ste, stage2 ? *through_parent : memory_, substream.value_or(0), path_);
    if (!words) return std::unexpected(words.error());
    ContextDescriptor const cd(*words, features_);
    if (!cd.valid()) return path_.fault("is not valid (V = 0), C_BAD_CD");
    auto const tables = cd.tables(ste);
    if (!tables) return path_.fault(fmt::format("is illegal: {}, C_BAD_CD", tables.error()));
    path_.means(fmt::format("lower half: {}; upper half: {}", describe(tables->lower), describe(tables->upper)));
    DeviceConfiguration configuration;
    configuration.user = tables->lower;
    configuration.user_upper = tables->upper;
    configuration.lower_blocked = !tables->lower;
    configuration.parent = stage2;
    configuration.steps = path_.take();
    return configuration;
  }

  Registers const& registers_;
  Features features_;
  MemoryView const& memory_;
  ParentOpener const& open_parent_;
  StructurePath path_;
};

}  // namespace

Result<Unit> Unit::create(Registers const& registers, MemoryView const& memory, ParentOpener open_parent) {
  return guarded([&]() -> Result<Unit> { return Unit(registers, memory, std::move(open_parent)); });
}

std::expected<DeviceConfiguration, ConfigurationFault> Unit::find(std::uint32_t device,
                                                                  std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&] { return Search(registers_, *memory_, open_parent_).run(device, pasid); });
}

}  // namespace swiommu::smmuv3
