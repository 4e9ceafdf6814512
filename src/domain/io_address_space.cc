#include "swiommu/domain/io_address_space.h"

#include <fmt/format.h>

#include "domain/area_table.h"
#include "domain/io_address_space_state.h"
#include "domain/iova_allocation.h"
#include "domain/undo.h"

namespace swiommu {
namespace {

// What is wrong whatever is mapped already. Returns the length of all slices.
Result<std::uint64_t> check_memory(std::span<PagesSlice const> memory, Attributes attributes) {
  if (!attributes.access.read && !attributes.access.write) return fail(EINVAL, "a mapping that allows neither read nor write");
  std::uint64_t total = 0;
  for (PagesSlice const& slice : memory) {
    if (!slice.pages || slice.length == 0) return fail(EINVAL, "a mapping of no memory");
    Backing const& backing = slice.pages->backing();
    if (slice.offset > backing.length() || slice.length > backing.length() - slice.offset)
      return fail(ERANGE, fmt::format("{:#x} bytes from offset {:#x} of memory of {:#x} bytes", slice.length, slice.offset,
                                      backing.length()));
    if (attributes.access.write && !backing.writable()) return fail(EPERM, "a writable mapping of memory that is not");
    if (total + slice.length < total) return fail(EOVERFLOW, "a mapping of more than the 64-bit space");
    total += slice.length;
  }
  if (total == 0) return fail(EINVAL, "a mapping of no memory");
  return total;
}

Result<void> check_lengths(std::span<PagesSlice const> memory, std::uint64_t alignment) {
  for (PagesSlice const& slice : memory) {
    if (slice.length & (alignment - 1))
      return fail(EINVAL, fmt::format("the length {:#x} is no multiple of {:#x}", slice.length, alignment));
  }
  return {};
}

Result<void> check_addresses(std::span<PagesSlice const> memory, std::uint64_t alignment) {
  for (PagesSlice const& slice : memory) {
    std::uint64_t const address = slice.pages->host_address(slice.offset).value;
    if (address & (alignment - 1))
      return fail(EINVAL, fmt::format("the memory at host address {:#x} is not aligned to {:#x}", address, alignment));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<IoAddressSpace>> IoAddressSpace::create() {
  return guarded([]() -> Result<std::shared_ptr<IoAddressSpace>> {
    return std::shared_ptr<IoAddressSpace>(new IoAddressSpace(std::make_unique<State>()));
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
    auto const length = check_memory(memory, attributes);
    if (!length) return std::unexpected(length.error());
    Lock const lock(mutex_);
    auto& [table, reservations] = *state_;
    std::uint64_t const alignment = table.alignment();
    SWIOMMU_TRY(check_lengths(memory, alignment));
    std::optional<Range> place;
    if (at) {
      if (at->value & (alignment - 1))
        return fail(EINVAL, fmt::format("the iova {:#x} is no multiple of {:#x}", at->value, alignment));
      place = Range::of_length(at->value, *length);
      if (!place) return fail(EOVERFLOW, fmt::format("{:#x} bytes at iova {:#x} leave the 64-bit space", *length, at->value));
      if (reservations.reserved(*place))
        return fail(EINVAL, fmt::format("iovas {:#x}-{:#x} are reserved, or some of them", place->start, place->last));
      if (auto const* const taken = table.areas().first_overlap(*place)) return range_in_use(*place, taken->range);
      SWIOMMU_TRY(check_addresses(memory, alignment));
    } else {
      if (*length >= bit(63)) return fail(EOVERFLOW, fmt::format("{:#x} bytes are too much to find a place for", *length));
      SWIOMMU_TRY(check_addresses(memory, alignment));
      place = allocate_iovas(table.areas(), reservations, memory[0].pages->host_address(memory[0].offset), *length, alignment);
      if (!place) return fail(ENOSPC, fmt::format("no free iovas for {:#x} bytes", *length));
    }
    std::uint64_t next = place->start;  // of which all below in the place is done
    Undo back([&] {
      if (next != place->start) table.remove({place->start, next - 1}, reservations);
    });
    for (PagesSlice const& slice : memory) {
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

Result<std::uint64_t> IoAddressSpace::unmap(Range iovas) {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    SWIOMMU_TRY(check_order(iovas));
    Lock const lock(mutex_);
    AreaTable& table = state_->table;
    if (table.areas().first_overlap(iovas) == nullptr)
      return fail(ENOENT, fmt::format("nothing is mapped at iovas {:#x}-{:#x}", iovas.start, iovas.last));
    for (std::uint64_t const end : {iovas.start, iovas.last}) {
      auto const* const area = table.areas().find(end);
      if (area != nullptr && !iovas.contains(area->range))
        return fail(ENOENT, fmt::format("iovas {:#x}-{:#x} hold only part of the mapping {:#x}-{:#x}", iovas.start, iovas.last,
                                        area->range.start, area->range.last));
    }
    return state_->remove(iovas);
  });
}

Result<std::uint64_t> IoAddressSpace::unmap_all() {
  return guarded([&]() -> Result<std::uint64_t> {
    SWIOMMU_TRY(refuse_inside_guard());
    Lock const lock(mutex_);
    return state_->remove(Range::all());
  });
}

}  // namespace swiommu
