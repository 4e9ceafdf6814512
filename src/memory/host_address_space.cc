#include "swiommu/memory/host_address_space.h"

#include <fmt/core.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

namespace swiommu {
namespace {

constexpr std::uint64_t huge_page = std::uint64_t{1} << 30;  // the largest that a host has; the base is aligned to it
constexpr Range null_page{0, 4095};

constexpr int reserve_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

// `size` bytes at a multiple of 1 GiB, low if possible, or nullptr.
std::byte* reserve_address_space(std::uint64_t size) {
  // The first lies between where x86-64 and arm64 programs are loaded and where the kernel puts mappings; the second is free
  // under ThreadSanitizer, which lays claim to nearly everything else.
  for (std::uintptr_t const hint : {std::uintptr_t{0x2000'0000'0000}, std::uintptr_t{0x10'0000'0000}}) {
    void* const wanted = std::bit_cast<void*>(hint);
    void* const got = ::mmap(wanted, size, PROT_NONE, reserve_flags, -1, 0);
    if (got == wanted) return static_cast<std::byte*>(got);
    if (got != MAP_FAILED) ::munmap(got, size);
  }
  // Anywhere: 1 GiB more than needed, then the ends go back.
  void* const got = ::mmap(nullptr, size + huge_page, PROT_NONE, reserve_flags, -1, 0);
  if (got == MAP_FAILED) return nullptr;
  auto* const bytes = static_cast<std::byte*>(got);
  std::uint64_t const before = (0 - reinterpret_cast<std::uintptr_t>(got)) & (huge_page - 1);
  if (before != 0) ::munmap(bytes, before);
  ::munmap(bytes + before + size, huge_page - before);
  return bytes + before;
}

std::uint64_t system_page() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) { return (value + (alignment - 1)) & ~(alignment - 1); }

}  // namespace

Result<std::unique_ptr<HostAddressSpace>> HostAddressSpace::create(std::uint64_t size) {
  return guarded([&]() -> Result<std::unique_ptr<HostAddressSpace>> {
    std::byte* base = nullptr;
    std::uint64_t granted = std::max(std::bit_floor(size), smallest_reserve);
    while ((base = reserve_address_space(granted)) == nullptr) {
      if (granted == smallest_reserve) return fail(ENOMEM, "cannot reserve 1 GiB of address space for host addresses");
      granted /= 2;
    }
    std::unique_ptr<HostAddressSpace> space(new (std::nothrow) HostAddressSpace(base, granted));
    if (!space) {
      ::munmap(base, granted);
      return out_of_memory();
    }
    Lock const lock(space->mutex_);
    SWIOMMU_TRY(space->taken_.insert(null_page, {}));
    SWIOMMU_TRY(space->taken_.insert(x86_interrupt_range, {}));
    return space;
  });
}

HostAddressSpace::~HostAddressSpace() { ::munmap(base_, size_); }

Chunk HostAddressSpace::locate(std::uint64_t address, Access access) const {
  if (auto const last = known_runs_.last_of_run(address, access.write)) [[likely]]
    return {pointer(HostAddress(address)), *last - address + 1};
  return look_up(address, access);
}

Chunk HostAddressSpace::look_up(std::uint64_t address, Access access) const {
  SharedLock const lock(mutex_);
  RangeCounts const& memory = access.write ? writable_ : readable_;
  auto run = memory.run_of(address);
  if (!run) return {};
  // A word may lie across two registrations.
  while ((run->last & 7) != 7) {
    auto const next = memory.last_of_run(run->last + 1);
    if (!next) break;
    run->last = *next;
  }
  known_runs_.keep(address, access.write, *run);
  return {pointer(HostAddress(address)), run->last - address + 1};
}

Result<> HostAddressSpace::register_memory(Range range, bool writable) {
  known_runs_.forget();
  SWIOMMU_TRY(readable_.add(range));
  if (!writable) return {};
  auto added = writable_.add(range);
  if (!added) readable_.remove(range);
  return added;
}

void HostAddressSpace::forget_memory(Range range, bool writable) {
  known_runs_.forget();
  removals_.fetch_add(1, std::memory_order_seq_cst);
  readable_.remove(range);
  if (writable) writable_.remove(range);
}

Result<HostAddress> HostAddressSpace::map_shared(int descriptor, std::uint64_t offset, std::uint64_t length, bool writable,
                                                 bool sure) {
  return guarded([&]() -> Result<HostAddress> {
    std::uint64_t const page = system_page();
    if (length == 0 || length > size_ || offset % page != 0)
      return fail(EINVAL, fmt::format("cannot map {:#x} bytes from offset {:#x} of a file", length, offset));
    std::uint64_t const alignment = std::clamp(std::bit_floor(length), page, huge_page);
    std::uint64_t const lead = offset % alignment;  // left free below, so that address and offset are congruent
    std::uint64_t const mapped = round_up(length, page);

    Lock const lock(mutex_);
    auto const gap = taken_.first_gap(reserve(), lead + mapped, alignment);
    if (!gap) return fail(ENOSPC, fmt::format("no room for {:#x} bytes in the reserve of {:#x}", length, size_));
    Range const place{gap->start + lead, gap->last};
    HostAddress const address(place.start);
    auto const entry = taken_.insert(place, {});
    if (!entry) return std::unexpected(entry.error());
    Range const range{place.start, place.start + (length - 1)};
    if (auto registered = register_memory(range, writable); !registered) {
      taken_.erase(**entry);
      return std::unexpected(std::move(registered).error());
    }
    int const rights = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    auto const map = [&](void* where, int flags) {
      return ::mmap(where, mapped, rights, flags, descriptor, static_cast<off_t>(offset));
    };
    // A fixed mapping that fails may already have torn a hole into the reservation.
    void* const trial = sure ? nullptr : map(nullptr, MAP_SHARED);
    int const refused = trial == MAP_FAILED ? errno : 0;
    if (trial != nullptr && refused == 0) ::munmap(trial, mapped);
    if (refused == 0 && map(pointer(address), MAP_SHARED | MAP_FIXED) != MAP_FAILED) return address;
    int const code = refused != 0 ? refused : errno;
    forget_memory(range, writable);
    if (refused != 0) taken_.erase(**entry);  // else the place is never used again, because it may no longer be ours
    return fail(code, fmt::format("cannot map {:#x} bytes from offset {:#x} of a file", length, offset));
  });
}

void HostAddressSpace::unmap_shared(HostAddress address, std::uint64_t length, bool writable) noexcept {
  Lock const lock(mutex_);
  forget_memory({address.value, address.value + (length - 1)}, writable);
  auto const* const entry = taken_.find(address.value);
  // The system may lack the memory to do this; then the place stays taken, and what was mapped stays mapped, out of reach.
  if (::mmap(pointer(address), entry->range.length(), PROT_NONE, reserve_flags | MAP_FIXED, -1, 0) != MAP_FAILED)
    taken_.erase(*entry);
}

Result<HostAddress> HostAddressSpace::add_memory(void* data, std::uint64_t length, bool writable) {
  return guarded([&]() -> Result<HostAddress> {
    HostAddress const address = address_of(data);
    auto const range = Range::of_length(address.value, length);
    auto const about = [&](char const* what) { return fmt::format("memory of {:#x} bytes at {}: {}", length, data, what); };
    if (!Range::of_length(reinterpret_cast<std::uintptr_t>(data), length))
      return fail(EINVAL, about("empty, or leaves the address space"));
    if (!range || range->overlaps(reserve())) return fail(EINVAL, about("meets the reserve of host addresses"));
    if (range->overlaps(x86_interrupt_range)) return fail(EINVAL, about("its host addresses would meet the x86 interrupt range"));
    Lock const lock(mutex_);
    if (devices_.first_overlap(*range) != nullptr) return fail(EEXIST, about("its host addresses meet a device range"));
    SWIOMMU_TRY(register_memory(*range, writable));
    return address;
  });
}

void HostAddressSpace::remove_memory(void* data, std::uint64_t length, bool writable) noexcept {
  std::uint64_t const start = address_of(data).value;
  Lock const lock(mutex_);
  forget_memory({start, start + (length - 1)}, writable);
}

Result<Range> HostAddressSpace::take_place(std::uint64_t like, std::uint64_t length) {
  return guarded([&]() -> Result<Range> {
    std::uint64_t const page = system_page();
    if (length == 0 || length > size_ || like % page != 0 || length % page != 0)
      return fail(EINVAL, fmt::format("a place of {:#x} bytes like {:#x}", length, like));
    std::uint64_t const alignment = std::clamp(std::bit_floor(length), page, huge_page);
    std::uint64_t const lead = like % alignment;
    Lock const lock(mutex_);
    auto const gap = taken_.first_gap(reserve(), lead + length, alignment);
    if (!gap) return fail(ENOSPC, fmt::format("no room for {:#x} bytes in the reserve of {:#x}", length, size_));
    Range const place{gap->start + lead, gap->last};
    SWIOMMU_TRY(taken_.insert(place, {}));
    return place;
  });
}

void HostAddressSpace::give_back_place(Range place) noexcept {
  Lock const lock(mutex_);
  // As in unmap_shared().
  if (::mmap(pointer(HostAddress(place.start)), place.length(), PROT_NONE, reserve_flags | MAP_FIXED, -1, 0) != MAP_FAILED)
    taken_.erase(*taken_.find(place.start));
}

Result<> HostAddressSpace::add_range(Range range, bool writable) {
  Lock const lock(mutex_);
  return register_memory(range, writable);
}

void HostAddressSpace::remove_range(Range range, bool writable) noexcept {
  Lock const lock(mutex_);
  forget_memory(range, writable);
}

Result<> HostAddressSpace::register_device(Range range, DeviceRange& device) {
  auto const entry = devices_.insert(range, &device);
  if (!entry) return std::unexpected(entry.error());
  if (x86_interrupt_range.contains(range)) return {};  // taken already
  auto const taken = taken_.insert(range, {});
  if (taken) return {};
  devices_.erase(**entry);
  return std::unexpected(taken.error());
}

Result<> HostAddressSpace::add_device_range(Range range, DeviceRange& device) {
  return guarded([&]() -> Result<> {
    if (range.last < range.start || range.overlaps(null_page) ||
        (range.overlaps(x86_interrupt_range) && !x86_interrupt_range.contains(range)))
      return fail(EINVAL, fmt::format("a device range cannot be at {:#x} to {:#x}", range.start, range.last));
    Lock const lock(mutex_);
    if (readable_.overlaps(range))
      return fail(EEXIST, fmt::format("the device range {:#x} to {:#x} meets memory", range.start, range.last));
    return register_device(range, device);
  });
}

Result<Range> HostAddressSpace::place_device_range(std::uint64_t length, DeviceRange& device) {
  return guarded([&]() -> Result<Range> {
    if (length == 0) return fail(EINVAL, "a device range of no bytes");
    if (length > size_) return fail(ENOSPC, fmt::format("no room for a device range of {:#x} bytes", length));
    Lock const lock(mutex_);
    auto const gap = taken_.first_gap(reserve(), length, std::max(std::bit_ceil(length), null_page.length()));
    if (!gap) return fail(ENOSPC, fmt::format("no room for a device range of {:#x} bytes", length));
    SWIOMMU_TRY(register_device(*gap, device));
    return *gap;
  });
}

void HostAddressSpace::remove_device_range(Range range) noexcept {
  DeviceRange const* device = nullptr;
  {
    Lock const lock(mutex_);
    auto const* const entry = devices_.find(range.start);
    device = entry->value;
    devices_.erase(*entry);
    if (!x86_interrupt_range.contains(range)) taken_.erase(*taken_.find(range.start));
  }
  // Nobody finds it any more. A call may take as long as it likes.
  while (device->in_use()) ::sched_yield();
}

FoundDevice HostAddressSpace::device_range(std::uint64_t address) const {
  SharedLock const lock(mutex_);
  auto const* const entry = devices_.find(address);
  return entry != nullptr ? FoundDevice(entry->range, *entry->value) : FoundDevice();
}

}  // namespace swiommu
