// The order of the checks is that of the process to translate an IOVA (IOMMU specification, 3.3).
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "hardware/riscv/device_context.h"
#include "hardware/riscv/directory.h"
#include "hardware/structure_path.h"
#include "swiommu/hardware/riscv.h"

namespace swiommu::riscv {

namespace {

std::string describe(UserPageTable const& table) {
  return fmt::format("table of {} levels at {:#x}{}", table.format.levels, table.root, table.big_endian ? ", big-endian" : "");
}

// Bits of a process_id that pdtp.MODE allows; Bare looks at none of them.
unsigned process_bits(unsigned mode) { return mode == 1 ? 8 : mode == 2 ? 17 : 20; }

// One search: what is known of the device so far.
class Search {
 public:
  Search(Registers const& registers, MemoryView const& memory, ParentOpener const& open_parent)
      : registers_(registers), capabilities_(registers), memory_(memory), open_parent_(open_parent) {}

  Configuration run(std::uint32_t device, std::optional<std::uint32_t> process) {
    auto const mode = static_cast<unsigned>(bit_field(registers_.ddtp, 3, 0));
    std::uint64_t const root = bit_field(registers_.ddtp, 53, 10) << 12;
    path_.register_value("ddtp", registers_.ddtp, mode == 1 ? "Bare" : fmt::format("mode {}, root page at {:#x}", mode, root));
    if (mode == 0) return path_.fault("blocks all DMA (iommu_mode = Off), cause 256");
    if (mode == 1) return finish(std::nullopt, std::nullopt);
    if (mode > 4) return path_.fault(fmt::format("selects a mode that is not defined (iommu_mode = {})", mode));

    unsigned const levels = mode - 1;
    unsigned const leaf_bits = capabilities_.extended_context() ? 6 : 7;
    unsigned const device_bits = std::min(24u, leaf_bits + 9 * (levels - 1));
    if (shift_right(device, device_bits) != 0)
      return path_.fault(fmt::format("has nothing for device_id {:#x}: they have {} bits, cause 260", device, device_bits));
    Directory const directory{"DDT", memory_, root, levels, leaf_bits, capabilities_.big_endian(), "cause 257", 258, 259};
    auto const page = find_leaf_page(directory, device, path_);
    if (!page) return std::unexpected(page.error());
    auto const words = read_device_context(*page, device & low_bits(leaf_bits));
    if (!words) return std::unexpected(words.error());
    return with_device_context(DeviceContext(*words, capabilities_), process);
  }

  // A guest's context: `memory` is the guest's, and what is behind it limits addresses.
  Configuration run(GuestContext const& context, std::optional<std::uint32_t> process) {
    guest_ = true;
    path_.register_value("guest device context", context.tc, "");
    return with_device_context(device_context(context, capabilities_), process);
  }

  static DeviceContext device_context(GuestContext const& context, Capabilities const& capabilities) {
    return {{context.tc, 0, context.ta, context.fsc, 0, 0, 0, 0}, capabilities};
  }

 private:
  std::expected<std::array<std::uint64_t, 8>, ConfigurationFault> read_device_context(std::uint64_t page, std::uint64_t index) {
    StructurePath::ReadOptions const options{.event = "cause 257", .big_endian = capabilities_.big_endian()};
    if (capabilities_.extended_context()) return path_.read<8>(memory_, "DC", page + 64 * index, options);
    auto const base = path_.read<4>(memory_, "DC", page + 32 * index, options);
    if (!base) return std::unexpected(base.error());
    std::array<std::uint64_t, 8> words{};
    std::copy(base->begin(), base->end(), words.begin());
    return words;
  }

  Configuration with_device_context(DeviceContext const& context, std::optional<std::uint32_t> process) {
    if (!context.valid()) return path_.fault("is not valid (V = 0), cause 258");
    if (std::string const why = context.misconfigured(); !why.empty())
      return path_.fault(fmt::format("is misconfigured: {}, cause 259", why));
    if (process && !context.has_process_directory()) return path_.fault("allows no process_id (tc.PDTV = 0), cause 260");
    if (process && shift_right(*process, process_bits(context.fsc().mode())) != 0)
      return path_.fault(fmt::format("allows process_ids of {} bits, and {:#x} has more, cause 260",
                                     process_bits(context.fsc().mode()), *process));

    std::optional<UserPageTable> second_stage;
    if (!context.iohgatp().bare()) second_stage = context.second_stage();
    path_.means(meaning(context, second_stage));
    TablePointer fsc = context.fsc();
    if (context.has_process_directory()) {
      if (!process && context.default_process()) process = 0;
      if (!process || fsc.bare()) return finish(std::nullopt, second_stage);
      auto const found = find_process_context(context, *process, second_stage);
      if (!found) return std::unexpected(found.error());
      fsc = *found;
    }
    if (fsc.bare()) return finish(std::nullopt, second_stage);
    return finish(context.first_stage(fsc, guest_ || second_stage), second_stage);
  }

  std::expected<TablePointer, ConfigurationFault> find_process_context(DeviceContext const& context, std::uint32_t process,
                                                                       std::optional<UserPageTable> const& second_stage) {
    std::unique_ptr<MemoryView> through_parent;
    if (second_stage) {
      if (open_parent_) through_parent = open_parent_(*second_stage, memory_);
      if (!through_parent)
        return path_.fault("has its PDT behind the second stage, and nothing was given that reads through that");
    }
    MemoryView const& memory = second_stage ? *through_parent : memory_;
    // Over a second stage, the fetch may also fail inside that stage.
    std::string_view const event = second_stage ? "cause 265 or a guest page fault" : "cause 265";
    bool const big_endian = context.big_endian_first_stage();
    Directory const directory{"PDT", memory, context.fsc().address(), context.fsc().mode(), 8, big_endian, event, 266, 267};
    auto const page = find_leaf_page(directory, process, path_);
    if (!page) return std::unexpected(page.error());
    auto const words =
        path_.read<2>(memory, "PC", *page + 16 * (process & low_bits(8)), {.event = event, .big_endian = big_endian});
    if (!words) return std::unexpected(words.error());
    ProcessContext const found(*words);
    if (!found.valid()) return path_.fault("is not valid (V = 0), cause 266");
    if (std::string const why = found.misconfigured(capabilities_, context.narrow()); !why.empty())
      return path_.fault(fmt::format("is misconfigured: {}, cause 267", why));
    path_.means(found.fsc().bare() ? "no first stage"
                                   : fmt::format("first stage: {}", describe(context.first_stage(found.fsc(), !!second_stage))));
    return found.fsc();
  }

  static std::string meaning(DeviceContext const& context, std::optional<UserPageTable> const& second_stage) {
    std::string text = second_stage ? fmt::format("second stage: {}", describe(*second_stage)) : "no second stage";
    if (context.fsc().bare()) {
      text += "; no first stage";
    } else if (context.has_process_directory()) {
      text += fmt::format("; process directory of {} levels at {:#x}", context.fsc().mode(), context.fsc().address());
    } else {
      text += fmt::format("; first stage: {}", describe(context.first_stage(context.fsc(), second_stage.has_value())));
    }
    if (context.redirects_interrupts()) text += "; the MSI page table is not looked at";
    return text;
  }

  Configuration finish(std::optional<UserPageTable> const& first_stage, std::optional<UserPageTable> const& second_stage) {
    DeviceConfiguration configuration;
    configuration.user = first_stage ? first_stage : second_stage;
    if (first_stage) configuration.parent = second_stage;
    if (!configuration.user) configuration.kind = DeviceConfiguration::Kind::bypass;
    configuration.steps = path_.take();
    return configuration;
  }

  Registers const& registers_;
  Capabilities capabilities_;
  MemoryView const& memory_;
  ParentOpener const& open_parent_;
  bool guest_ = false;
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

std::string GuestTranslation::misconfigured(GuestContext const& context, Registers const& registers) {
  return Search::device_context(context, Capabilities(registers)).misconfigured();
}

std::expected<DeviceConfiguration, ConfigurationFault> GuestTranslation::find(std::uint32_t,
                                                                              std::optional<std::uint32_t> pasid) const {
  return guarded_configuration([&] { return Search(registers_, *guest_, {}).run(context_, pasid); });
}

}  // namespace swiommu::riscv
