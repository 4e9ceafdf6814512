#include <fmt/format.h>

#include <vector>

#include "iommufd/ioas.h"
#include "iommufd/selftest/access_file.h"
#include "iommufd/selftest/caller_pages.h"
#include "iommufd/selftest/operations.h"

namespace swiommu::iommufd::selftest {
namespace {

constexpr std::uint64_t longest = 16 << 20;  // that an operation takes

Result<std::shared_ptr<AccessFile>> find(TestCall const& call) {
  auto access =
      std::dynamic_pointer_cast<AccessFile>(call.file().open_file(call.caller(), static_cast<int>(call.arguments().id)));
  if (!access) return fail(EBADFD, fmt::format("descriptor {} is no access", call.arguments().id));
  return access;
}

// For programs that make calls up: the upper half of the iova is an offset, the lower half the number of an area.
std::uint64_t iova_of(AccessFile const& access, std::uint64_t iova, std::uint32_t flags) {
  if ((flags & access_nth_area) == 0) return iova;
  auto const space = access.access()->memory().space();
  if (!space) return 0;
  auto const areas = space->areas(Range::all());
  std::uint64_t const nth = iova & 0xffffffff;
  return areas && nth < areas->size() ? (*areas)[nth].iovas.start + (iova >> 32) : 0;
}

}  // namespace

Result<void> create_access(TestCall const& call) {
  auto& [out_descriptor, flags] = call.arguments().create_access;
  if ((flags & ~access_needs_pinned_pages) != 0) return fail(EOPNOTSUPP, "an access with an unknown flag");
  auto const made = AccessFile::create((flags & access_needs_pinned_pages) != 0);
  if (!made) return std::unexpected(made.error());
  call.file().keep_until_unlocked(*made);
  auto added = call.file().objects().add((*made)->access());
  if (!added) return std::unexpected(std::move(added).error());
  auto const ioas = call.file().objects().find<Ioas>(call.arguments().id);
  if (!ioas) return std::unexpected(ioas.error());
  SWIOMMU_TRY((*made)->access()->attach(*ioas));
  auto const descriptor = call.caller().install(*made);
  if (!descriptor) return fail(ENOMEM, descriptor.error().about);
  out_descriptor = static_cast<std::uint32_t>(*descriptor);
  if (auto responded = call.command.respond(); !responded) {
    call.caller().uninstall(*descriptor);
    return responded;
  }
  (*made)->publish(call.file().shared_from_this(), std::move(*added));
  return {};
}

Result<void> destroy_access_pages(TestCall const& call) {
  auto const access = find(call);
  if (!access) return std::unexpected(access.error());
  return (*access)->remove(call.arguments().destroy_item);
}

Result<void> access_pages(TestCall const& call) {
  auto& arguments = call.arguments().access_pages;
  if (arguments.length > longest) return fail(ENOMEM, "more than 16 MiB");
  if ((arguments.flags & ~(access_writes | access_nth_area)) != 0) return fail(EOPNOTSUPP, "an unknown flag");
  auto const access = find(call);
  if (!access) return std::unexpected(access.error());
  if ((*access)->access()->memory().use() != SoftwareAccess::Use::pins)
    return fail(EOPNOTSUPP, "the access was made without the right to pin");
  std::uint64_t const iova = iova_of(**access, arguments.iova, arguments.flags);
  return (*access)->pin(
      iova, arguments.length, (arguments.flags & access_writes) != 0,
      [&](std::span<PagesSlice const> pinned, std::uint32_t item) -> Result<void> {
        if (arguments.address != 0)
          SWIOMMU_TRY(compare_pages(call.caller(), arguments.address, call.file().engine().addresses(), pinned));
        arguments.out_item = item;
        return call.command.respond();
      });
}

Result<void> access_transfer(TestCall const& call) {
  auto const& [iova, length, address, flags] = call.arguments().access_transfer;
  if (length > longest) return fail(ENOMEM, "more than 16 MiB");
  if ((flags & ~(access_writes | access_slowly | access_nth_area)) != 0) return fail(EOPNOTSUPP, "an unknown flag");
  auto const access = find(call);
  if (!access) return std::unexpected(access.error());
  std::vector<std::byte> bytes(length);
  SoftwareAccess& memory = (*access)->access()->memory();
  std::uint64_t const start = iova_of(**access, iova, flags);
  if ((flags & access_writes) != 0) {
    if (!call.caller().copy_in(address, bytes)) return fail(EFAULT, "what is to be written cannot be read");
    return memory.write(start, bytes);
  }
  SWIOMMU_TRY(memory.read(start, bytes));
  if (!call.caller().copy_out(address, bytes)) return fail(EFAULT, "what was read cannot be written back");
  return {};
}

Result<void> access_replace_ioas(TestCall const& call) {
  auto const access = find(call);
  if (!access) return std::unexpected(access.error());
  if ((*access)->file() != &call.file()) return fail(EBADFD, "the access belongs to another iommufd");
  auto const ioas = call.file().objects().find<Ioas>(call.arguments().replace_ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  return (*access)->access()->replace(*ioas);
}

}  // namespace swiommu::iommufd::selftest
