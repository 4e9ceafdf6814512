// The IOAS as an object: which iovas it has.
#include <fmt/format.h>

#include <iterator>
#include <map>
#include <vector>

#include "iommufd/commands.h"
#include "iommufd/ioas.h"
#include "swiommu/profile/profile.h"

namespace swiommu::iommufd {
namespace {

std::uint64_t entry_of(std::uint64_t array, std::uint64_t index) { return array + index * sizeof(iommu_iova_range); }

Result<std::vector<Range>> read_ranges(Caller& caller, std::uint64_t array, std::uint32_t count) {
  std::vector<Range> ranges;
  std::map<std::uint64_t, std::uint64_t> last_of;  // by start
  for (std::uint32_t i = 0; i < count; i++) {
    iommu_iova_range read{};
    if (!caller.copy_in(entry_of(array, i), std::as_writable_bytes(std::span(&read, 1))))
      return fail(EFAULT, fmt::format("range {} of {} cannot be read", i, count));
    Range const range{read.start, read.last};
    if (range.start >= range.last)
      return fail(EINVAL, fmt::format("range {}, {:#x}-{:#x}, ends before it starts, or at once", i, range.start, range.last));
    auto const beyond = last_of.upper_bound(range.last);
    if (beyond != last_of.begin()) {
      auto const [start, last] = *std::prev(beyond);
      if (last >= range.start)
        return fail(EINVAL, fmt::format("range {}, {:#x}-{:#x}, overlaps {:#x}-{:#x}", i, range.start, range.last, start, last));
    }
    last_of.emplace(range.start, range.last);
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

Result<void> ioas_alloc(Command<iommu_ioas_alloc> const& command) {
  if (command.arguments.flags != 0) return fail(EOPNOTSUPP, fmt::format("there are no flags {:#x}", command.arguments.flags));
  auto space = IoAddressSpace::create(command.file.space_options());
  if (!space) return std::unexpected(std::move(space).error());
  SWIOMMU_TRY(command.file.engine().relocations().add(*space));
  auto object = command.file.objects().add(std::make_shared<Ioas>(std::move(*space)));
  if (!object) return std::unexpected(std::move(object).error());
  command.arguments.out_ioas_id = object->id();
  return command.publish(std::move(*object));
}

Result<void> ioas_iova_ranges(Command<iommu_ioas_iova_ranges> const& command) {
  iommu_ioas_iova_ranges& arguments = command.arguments;
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  auto const alignment = (*ioas)->space().alignment();
  if (!alignment) return std::unexpected(alignment.error());
  auto const ranges = (*ioas)->space().iova_ranges();
  if (!ranges) return std::unexpected(ranges.error());
  std::uint32_t const room = arguments.num_iovas;
  for (std::size_t i = 0; i < ranges->size() && i < room; i++) {
    iommu_iova_range const range{(*ranges)[i].start, (*ranges)[i].last};
    if (!command.caller.copy_out(entry_of(arguments.allowed_iovas, i), std::as_bytes(std::span(&range, 1))))
      return fail(EFAULT, fmt::format("range {} cannot be written", i));
  }
  arguments.num_iovas = static_cast<std::uint32_t>(ranges->size());
  arguments.out_iova_alignment = *alignment;
  SWIOMMU_TRY(command.respond());
  if (ranges->size() > room) return fail(EMSGSIZE, fmt::format("there are {} ranges, and room for {}", ranges->size(), room));
  return {};
}

Result<void> ioas_allow_iovas(Command<iommu_ioas_allow_iovas> const& command) {
  iommu_ioas_allow_iovas const& arguments = command.arguments;
  if (arguments.__reserved != 0) return fail(EOPNOTSUPP, "__reserved is not 0");
  auto const ioas = command.file.objects().find<Ioas>(arguments.ioas_id);
  if (!ioas) return std::unexpected(ioas.error());
  auto const ranges = read_ranges(command.caller, arguments.allowed_iovas, arguments.num_iovas);
  if (!ranges) return std::unexpected(ranges.error());
  return (*ioas)->space().allow(*ranges);
}

}  // namespace swiommu::iommufd
