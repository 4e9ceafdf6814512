#include "swiommu/domain/io_address_space.h"

#include <fmt/format.h>

#include "domain/area_table.h"
#include "domain/io_address_space_state.h"
#include "domain/iova_allocation.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// What is wrong whatever is mapped already. Returns the length of all slices.
Result<std::uint64_t> check_memory(std::span<PagesSlice const> memory) {
  std::uint64_t total = 0;
  for (PagesSlice const& slice : memory) {
    if (!slice.pages || slice.length == 0) return fail(EINVAL, "a mapping of no memory");
    Backing const& backing = slice.pages->backing();
    if (slice.offset > backing.length() || slice.length > backing.length() - slice.offset)
      return fail(ERANGE, fmt::format("{:#x} bytes from offset {:#x} of memory of {:#x} bytes", slice.length, slice.offset,
                                      backing.length()));
    if (total + slice.length < total) return fail(EOVERFLOW, "a mapping of more than the 64-bit space");
    total += slice.length;
  }
  if (total == 0) return fail(EINVAL, "a mapping of no memory");
  return total;
}

Result<void> check_rights_and_places(std::span<PagesSlice const> memory, Attributes attributes, std::uint64_t alignment) {
  for (PagesSlice const& slice : memory) {
    auto const from = [&] { return slice.pages->origin().describe(slice.offset); };
    if (attributes.access.write && !slice.pages->backing().writable())
      return fail(EPERM, fmt::format("a writable mapping of memory that is not: {}", from()));
    if ((slice.pages->host_address(slice.offset).value | slice.length) & (alignment - 1))
      return fail(EINVAL, fmt::format("{:#x} bytes of memory at {} are not aligned to {:#x}", slice.length, from(), alignment));
  }
  return {};
}

std::unexpected<Error> overlaps(Range wanted, Area const& area) {
  return fail(EEXIST, fmt::format("iovas {:#x}-{:#x} overlap the area {:#x}-{:#x} mapped from {}", wanted.start, wanted.last,
                                  area.iovas.start, area.iovas.last, area.pages->origin().describe(area.offset)));
}

}  // namespace

Result<std::shared_ptr<IoAddressSpace>> IoAddressSpace::create(Options options) {
  return guarded([&]() -> Result<std::shared_ptr<IoAddressSpace>> {
    return std::shared_ptr<IoAddressSpace>(new IoAddressSpace(std::make_unique<State>(options.within_host_pages)));
  });
}

IoAddressSpace::IoAddressSpace(std::unique_ptr<State> state) : state_(std::move(state)) {}

IoAddressSpace::~IoAddressSpace() {
  Lock const lock(mutex_);
  while (!state_->table.domains().empty()) state_->table.detach(*state_->table.domains().back(), state_->reservations);
}

Result<Iova> IoAddressSpace::add(std::optional<Iova> at, std::span<PagesSlice const> memory, Attributes attributes) {
  return guarded([&]() -> Result<Iova> {
    SWIOMMU_TRY(refuse_inside_guard());
    auto const length = check_memory(memory);
    if (!length) return std::unexpected(length.error());
    Lock const lock(mutex_);
    AreaTable& table = state_->table;
    IovaReservations& reservations = state_->reservations;
    std::uint64_t const alignment = state_->alignment();
    if (*length & (alignment - 1))
      return fail(EINVAL, fmt::format("the length {:#x} is no multiple of {:#x}", *length, alignment));
    std::optional<Range> place;
    if (at) {
      if (at->value & (alignment - 1))
        return fail(EINVAL, fmt::format("the iova {:#x} is no multiple of {:#x}", at->value, alignment));
      place = Range::of_length(at->value, *length);
      if (!place) return fail(EOVERFLOW, fmt::format("{:#x} bytes at iova {:#x} leave the 64-bit space", *length, at->value));
      if (reservations.reserved(*place))
        return fail(EINVAL, fmt::format("iovas {:#x}-{:#x} are reserved, or some of them", place->start, place->last));
      if (auto const* const taken = table.areas().first_overlap(*place)) return overlaps(*place, taken->value);
    } else {
      auto const found =
          allocate_iovas(table.areas(), reservations, memory[0].pages->origin().address + memory[0].offset, *length, alignment);
      if (!found) return std::unexpected(found.error());
      place = *found;
    }
    SWIOMMU_TRY(check_rights_and_places(memory, attributes, alignment));
    std::uint64_t next = place->start;  // of which all below in the place is done
    Undo back([&] {
      if (next != place->start) table.remove({place->start, next - 1}, reservations);
    });
    for (PagesSlice const& slice : memory) {
      if (slice.pages->origin().kind == Origin::Kind::device) SWIOMMU_TRY(slice.pages->tell(weak_from_this()));
      SWIOMMU_TRY(table.add({{next, next + (slice.length - 1)}, slice.pages, slice.offset, attributes}));
      next += slice.length;
    }
    back.keep();
    return Iova(place->start);
  });
}

Result<void> IoAddressSpace::map(Iova iova, PagesSlice const& memory, Attributes attributes) {
  SWIOMMU_TRY(add(iova, {&memory, 1}, attributes));
  return {};
}

Result<Iova> IoAddressSpace::map_anywhere(PagesSlice const& memory, Attributes attributes) {
  return add(std::nullopt, {&memory, 1}, attributes);
}

Result<void> IoAddressSpace::map(Iova iova, std::span<PagesSlice const> row, Attributes attributes) {
  SWIOMMU_TRY(add(iova, row, attributes));
  return {};
}

Result<Iova> IoAddressSpace::map_anywhere(std::span<PagesSlice const> row, Attributes attributes) {
  return add(std::nullopt, row, attributes);
}

Result<std::vector<PagesSlice>> IoAddressSpace::memory_behind(Range iovas) const {
  return guarded([&]() -> Result<std::vector<PagesSlice>> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    SharedLock const lock(mutex_);
    std::vector<PagesSlice> slices;
    std::uint64_t next = iovas.start;
    for (auto const& entry : std::as_const(state_->table).areas().overlapping(iovas)) {
      Range const part = *entry.range.intersection(iovas);
      if (part.start != next) break;
      slices.push_back({entry.value.pages, entry.value.offset + (part.start - entry.range.start), part.length()});
      if (part.last == iovas.last) return slices;
      next = part.last + 1;
    }
    return fail(ENOENT, fmt::format("iovas {:#x}-{:#x} to copy are not mapped, or not all of them", iovas.start, iovas.last));
  });
}

Result<void> IoAddressSpace::copy(IoAddressSpace const& from, Range source, Iova to, Attributes attributes) {
  auto const memory = from.memory_behind(source);
  if (!memory) return std::unexpected(memory.error());
  SWIOMMU_TRY(add(to, *memory, attributes));
  return {};
}

Result<Iova> IoAddressSpace::copy_anywhere(IoAddressSpace const& from, Range source, Attributes attributes) {
  auto const memory = from.memory_behind(source);
  if (!memory) return std::unexpected(memory.error());
  return add(std::nullopt, *memory, attributes);
}

}  // namespace swiommu
