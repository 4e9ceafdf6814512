#include "tools/subcommands/translation_source.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "profile/format_names.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/domain/fixed_domains.h"
#include "swiommu/domain/nested_domain.h"
#include "tools/case_folder.h"
#include "tools/iommu_kinds.h"
#include "tools/numbers.h"

namespace swiommu::tools {

void add_source_options(CLI::App& command, SourceOptions& o) {
  constexpr char const* one = "A case";
  command
      .add_option("--case", o.case_folder, "Folder with memory.elf or memory.elf.zst, and case.json (iommu, registers, device)")
      ->type_name("DIR")
      ->group(one);
  constexpr char const* image = "A memory image";
  command.add_option("--memory", o.memory, "Memory image: ELF core with physical addresses, plain or zstd")
      ->type_name("FILE")
      ->group(image);
  command.add_option("--raw", o.raw_base, "The image is raw memory from this address on")->type_name("ADDRESS")->group(image);
  constexpr char const* table = "... and a page table in it";
  command.add_option("--format", o.format, "Format of the table; `swiommu formats` lists them")
      ->type_name("FORMAT")
      ->group(table);
  command.add_option("--root", o.root, "Address of the root table")->type_name("ADDRESS")->group(table);
  command.add_option("--levels", o.levels, "Number of levels, if the format has several")->type_name("N")->group(table);
  command.add_option("--input-bits", o.input_bits, "Width of the inputs in bits, if the format has several (Arm)")
      ->type_name("N")
      ->group(table);
  command.add_option("--output-bits", o.output_bits, "Width of the outputs in bits; entries beyond are faults")
      ->type_name("N")
      ->group(table);
  command.add_option("--byte-order", o.byte_order, "Order of the table's bytes: little or big")->type_name("ORDER")->group(table);
  constexpr char const* iommu = "... or the IOMMU's registers and a device behind it";
  command.add_option("--iommu", o.iommu, "Which IOMMU: vtd, smmu, amd, riscv, s390")->type_name("KIND")->group(iommu);
  command.add_option("--register", o.registers, register_help())->type_name("NAME=VALUE")->allow_extra_args(false)->group(iommu);
  command
      .add_option("--device", o.device, "Requester id, stream id or device id: 0x28 or 00:05.0; s390 needs none, a case has one")
      ->type_name("ID")
      ->group(iommu);
  command.add_option("--pasid", o.pasid, "PASID of the requests; without it they carry none")->type_name("N")->group(iommu);
}

namespace {

Result<TranslationSource> open_image(std::filesystem::path const& file, std::string const& raw_base) {
  MemoryImageOptions options;
  if (!raw_base.empty()) {
    auto const base = parse_number(raw_base, "the address after --raw");
    if (!base) return std::unexpected(base.error());
    options.raw_base = *base;
  }
  auto image = MemoryImage::load(file, options);
  if (!image) return std::unexpected(std::move(image).error());
  TranslationSource source;
  source.image = std::move(*image);
  auto const host = Host::create(source.image);
  if (!host) return std::unexpected(host.error());
  auto memory = IdentityDomain::create(*host);
  if (!memory) return std::unexpected(std::move(memory).error());
  source.guest_memory = std::move(*memory);
  return source;
}

Result<void> find_device(TranslationSource& source, std::string_view kind, RegisterValues const& registers,
                         UnknownRegisters unknown, std::uint32_t device, std::optional<std::uint32_t> pasid) {
  auto const iommu = open_iommu(kind, registers, unknown, *source.guest_memory);
  if (!iommu) return std::unexpected(iommu.error());
  source.summary = fmt::format("{} device 0x{:x}", kind, device);
  auto found = (*iommu)->find(device, pasid);
  if (!found) {
    source.steps = found.error().steps;
    source.fault = std::move(found).error();
    return {};
  }
  auto domain = open_configuration(source.guest_memory, *found);
  if (!domain) return std::unexpected(std::move(domain).error());
  source.domain = std::move(*domain);
  source.steps = std::move(found->steps);
  return {};
}

// A small number that is not 0; nothing if it is not given.
Result<std::optional<unsigned>> count_of(std::string const& text, std::string_view what) {
  if (text.empty()) return std::optional<unsigned>();
  auto const count = parse_number(text, what);
  if (!count) return std::unexpected(count.error());
  if (*count == 0 || *count > 64) return fail(EINVAL, fmt::format("{} is {}: not from 1 to 64", what, text));
  return std::optional(static_cast<unsigned>(*count));
}

Result<void> open_table(TranslationSource& source, SourceOptions const& o) {
  auto const format = find_format(o.format);
  if (!format) return std::unexpected(format.error());
  auto const root = parse_number(o.root, "the root");
  if (!root) return std::unexpected(root.error());
  if (!source.image->locate(*root, Access::reading()))
    return fail(EINVAL, fmt::format("the root 0x{:x} is not in the memory image", *root));
  UserPageTable table{.format = format->configuration, .root = *root, .big_endian = format->big_endian};
  auto const levels = count_of(o.levels, "the number of levels"), input_bits = count_of(o.input_bits, "the number of input bits"),
             output_bits = count_of(o.output_bits, "the number of output bits");
  for (auto const* const count : {&levels, &input_bits, &output_bits})
    if (!*count) return std::unexpected(count->error());
  if (*levels) {
    if (std::ranges::find(format->levels, **levels) == format->levels.end())
      return fail(EINVAL, format->levels.empty() ? fmt::format("{} has no choice of levels", format->name)
                                                 : fmt::format("{} has no {} levels; it can have {}", format->name, **levels,
                                                               fmt::join(format->levels, ", ")));
    table.format.levels = **levels;
  }
  bool const arm = table.format.format == FormatName::arm_stage1 || table.format.format == FormatName::arm_stage2;
  if (*input_bits && !arm) return fail(EINVAL, fmt::format("{} has no choice of --input-bits", format->name));
  if (*input_bits) table.format.input_bits = **input_bits;
  if (*output_bits) table.format.output_bits = **output_bits;
  if (!o.byte_order.empty()) {
    if (o.byte_order != "little" && o.byte_order != "big")
      return fail(EINVAL, fmt::format("the byte order '{}' is neither little nor big", o.byte_order));
    table.big_endian = o.byte_order == "big";
  }
  auto domain = NestedDomain::create(source.guest_memory, table);
  if (!domain) return std::unexpected(std::move(domain).error());
  // Of Arm's roots the registers hold the bits from their size on, of all others those from 4 KiB on.
  unsigned const size_lg2 = (*domain)->table_for(0)->shape().root_size_lg2,
                 alignment_lg2 = arm ? size_lg2 : std::max(size_lg2, 12u);
  if (!is_aligned(*root, alignment_lg2))
    return fail(EINVAL, fmt::format("the root 0x{:x} of {} is no multiple of 0x{:x}", *root, format->name, bit(alignment_lg2)));
  source.domain = std::move(*domain);
  source.summary = fmt::format("{} table at 0x{:x}", format->name, *root);
  return {};
}

Result<std::optional<std::uint32_t>> pasid_of(std::string const& text) {
  if (text.empty()) return std::optional<std::uint32_t>();
  auto const pasid = parse_number(text, "the PASID");
  if (!pasid) return std::unexpected(pasid.error());
  if (*pasid > 0xfffff) return fail(EINVAL, fmt::format("the PASID {} has more than 20 bits", text));
  return std::optional(static_cast<std::uint32_t>(*pasid));
}

Result<TranslationSource> open_case(SourceOptions const& o) {
  auto const read = read_case(o.case_folder);
  if (!read) return std::unexpected(read.error());
  auto const pasid = pasid_of(o.pasid);
  if (!pasid) return std::unexpected(pasid.error());
  auto source = open_image(read->memory, "");
  if (!source) return source;
  std::uint32_t device = read->device;
  if (!o.device.empty()) {
    auto const parsed = parse_device(o.device);
    if (!parsed) return std::unexpected(parsed.error());
    device = *parsed;
  }
  SWIOMMU_TRY(find_device(*source, read->iommu, read->registers, UnknownRegisters::ignore, device, *pasid));
  return source;
}

// An option that would not be looked at is a misunderstanding.
Result<void> refuse_given(std::initializer_list<std::pair<char const*, bool>> options, char const* why) {
  for (auto const& [name, given] : options)
    if (given) return fail(EINVAL, fmt::format("{}: leave out {}", why, name));
  return {};
}
Result<void> refuse_memory(SourceOptions const& o, char const* why) {
  return refuse_given({{"--memory", !o.memory.empty()}, {"--raw", !o.raw_base.empty()}}, why);
}
Result<void> refuse_table(SourceOptions const& o, char const* why) {
  return refuse_given({{"--format", !o.format.empty()},
                       {"--root", !o.root.empty()},
                       {"--levels", !o.levels.empty()},
                       {"--input-bits", !o.input_bits.empty()},
                       {"--output-bits", !o.output_bits.empty()},
                       {"--byte-order", !o.byte_order.empty()}},
                      why);
}
Result<void> refuse_iommu(SourceOptions const& o, char const* why) {
  return refuse_given({{"--iommu", !o.iommu.empty()}, {"--register", !o.registers.empty()}}, why);
}
Result<void> refuse_device(SourceOptions const& o, char const* why) {
  return refuse_given({{"--device", !o.device.empty()}, {"--pasid", !o.pasid.empty()}}, why);
}

}  // namespace

Result<TranslationSource> open_source(SourceOptions const& o) {
  if (!o.case_folder.empty()) {
    constexpr char const* why = "--case brings its own memory and registers";
    SWIOMMU_TRY(refuse_memory(o, why));
    SWIOMMU_TRY(refuse_table(o, why));
    SWIOMMU_TRY(refuse_iommu(o, why));
    return open_case(o);
  }
  if (o.memory.empty()) return fail(EINVAL, "nothing to look at: give --case DIR or --memory FILE");
  if (o.format.empty() == o.iommu.empty())
    return fail(EINVAL, "say where the table is: either --format and --root, or --iommu, --register and --device");
  if (!o.format.empty()) {
    SWIOMMU_TRY(refuse_iommu(o, "--format names the table itself"));
    SWIOMMU_TRY(refuse_device(o, "--format names the table itself"));
  } else {
    SWIOMMU_TRY(refuse_table(o, "--iommu finds the table by itself"));
  }
  if (!o.format.empty() && o.root.empty()) return fail(EINVAL, "--format needs --root, the address of the root table");
  auto source = open_image(o.memory, o.raw_base);
  if (!source) return source;
  if (!o.format.empty()) {
    SWIOMMU_TRY(open_table(*source, o));
    return source;
  }
  RegisterValues registers;
  for (std::string const& assignment : o.registers) SWIOMMU_TRY(add_register(registers, assignment));
  std::uint32_t device = 0;
  if (!o.device.empty()) {
    auto const parsed = parse_device(o.device);
    if (!parsed) return std::unexpected(parsed.error());
    device = *parsed;
  } else if (needs_device(o.iommu)) {
    return fail(EINVAL, "--iommu needs --device, the requester id (0x28 or 00:05.0)");
  }
  auto const pasid = pasid_of(o.pasid);
  if (!pasid) return std::unexpected(pasid.error());
  SWIOMMU_TRY(find_device(*source, o.iommu, registers, UnknownRegisters::refuse, device, *pasid));
  return source;
}

}  // namespace swiommu::tools
