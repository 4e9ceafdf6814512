// What is mapped in an IOAS.
#include <fmt/format.h>

#include <optional>

#include "iommufd/commands.h"
#include "iommufd/mapping.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t largest = ~std::uint64_t{0};

Result<void> check_flags(std::uint32_t flags) {
  constexpr std::uint32_t known = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;
  if ((flags & ~known) != 0) return fail(EOPNOTSUPP, fmt::format("there are no flags {:#x}", flags & ~known));
  return {};
}

Result<void> check_rights(std::uint32_t flags) {
  if ((flags & (IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)) == 0)
    return fail(EINVAL, "a mapping that can neither be read nor written");
  return {};
}

Attributes attributes_of(std::uint32_t flags) {
  return {.access = {.read = (flags & IOMMU_IOAS_MAP_READABLE) != 0, .write = (flags & IOMMU_IOAS_MAP_WRITEABLE) != 0}};
}

// Where it is mapped: at `iova`, or anywhere.
Result<std::uint64_t> map(Ioas& ioas, std::span<PagesSlice const> memory, std::uint32_t flags, std::uint64_t iova) {
  if ((flags & IOMMU_IOAS_MAP_FIXED_IOVA) != 0) {
    SWIOMMU_TRY(ioas.space().map(Iova(iova), memory, attributes_of(flags)));
    return iova;
  }
  auto const place = ioas.space().map_anywhere(memory, attributes_of(flags));
  if (!place) return std::unexpected(place.error());
  return place->value;
}

}  // namespace

// A reply that cannot be written leaves what was mapped, or unmapped, as Linux does.

Result<void> ioas_map(Command<iommu_ioas_map> const& command) {
  iommu_ioas_map& arguments = command.arguments;
  SWIOMMU_TRY(check_flags(arguments.flags));
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  if (arguments.iova == largest || arguments.length == largest) return fail(EOVERFLOW, "iova or length is the largest number");
  SWIOMMU_TRY(check_rights(arguments.flags));
  auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  auto const memory = memory_of(command.file, command.caller, arguments.user_va, arguments.length,
                                (arguments.flags & IOMMU_IOAS_MAP_WRITEABLE) != 0);
  if (!memory) return std::unexpected(memory.error());
  auto const place = map(**ioas, {&*memory, 1}, arguments.flags, arguments.iova);
  if (!place) return std::unexpected(place.error());
  arguments.iova = *place;
  return command.respond();
}

Result<void> ioas_map_file(Command<iommu_ioas_map_file> const& command) {
  iommu_ioas_map_file& arguments = command.arguments;
  SWIOMMU_TRY(check_flags(arguments.flags));
  if (arguments.iova == largest || arguments.length == largest) return fail(EOVERFLOW, "iova or length is the largest number");
  SWIOMMU_TRY(check_rights(arguments.flags));
  auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  auto const memory = file_of(command.file, command.caller, arguments.fd, arguments.start, arguments.length,
                              (arguments.flags & IOMMU_IOAS_MAP_WRITEABLE) != 0);
  if (!memory) return std::unexpected(memory.error());
  auto const place = map(**ioas, {&*memory, 1}, arguments.flags, arguments.iova);
  if (!place) return std::unexpected(place.error());
  arguments.iova = *place;
  return command.respond();
}

Result<void> ioas_copy(Command<iommu_ioas_copy> const& command) {
  iommu_ioas_copy& arguments = command.arguments;
  SWIOMMU_TRY(check_flags(arguments.flags));
  if (arguments.length == largest || arguments.src_iova == largest || arguments.dst_iova == largest)
    return fail(EOVERFLOW, "an iova or the length is the largest number");
  SWIOMMU_TRY(check_rights(arguments.flags));
  auto const source = command.file.objects().find<Ioas>(arguments.src_ioas_id);
  if (!source) return std::unexpected(source.error());
  if (arguments.length == 0) return fail(EINVAL, "a copy of no bytes");
  auto const iovas = Range::of_length(arguments.src_iova, arguments.length);
  if (!iovas)
    return fail(EOVERFLOW,
                fmt::format("{:#x} bytes from iova {:#x} leave the 64-bit space", arguments.length, arguments.src_iova));
  auto const memory = (*source)->space().memory_behind(*iovas);
  if (!memory) return std::unexpected(memory.error());
  auto const target = command.file.objects().find<Ioas>(arguments.dst_ioas_id);
  if (!target) return std::unexpected(target.error());
  auto const place = map(**target, *memory, arguments.flags, arguments.dst_iova);
  if (!place) return std::unexpected(place.error());
  arguments.dst_iova = *place;
  return command.respond();
}

Result<void> ioas_unmap(Command<iommu_ioas_unmap> const& command) {
  iommu_ioas_unmap& arguments = command.arguments;
  auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  IoAddressSpace& space = (*ioas)->space();
  if (arguments.iova == 0 && arguments.length == largest) {
    auto const bytes = space.unmap_all();
    if (!bytes) return std::unexpected(bytes.error());
    arguments.length = *bytes;
    return command.respond();
  }
  if (arguments.iova == largest || arguments.length == largest) return fail(EOVERFLOW, "iova or length is the largest number");
  if (arguments.length == 0) return fail(EINVAL, "no bytes to unmap");
  auto const iovas = Range::of_length(arguments.iova, arguments.length);
  if (!iovas)
    return fail(EOVERFLOW, fmt::format("{:#x} bytes from iova {:#x} leave the 64-bit space", arguments.length, arguments.iova));
  auto const unmapped = space.unmap_in_order(*iovas);
  if (!unmapped.done) return unmapped.done;
  if (unmapped.bytes == 0) return fail(ENOENT, fmt::format("nothing is mapped at iovas {:#x}-{:#x}", iovas->start, iovas->last));
  arguments.length = unmapped.bytes;
  return command.respond();
}

}  // namespace swiommu::iommufd
