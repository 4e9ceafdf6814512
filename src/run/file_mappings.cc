#include "run/file_mappings.h"

#include <sys/mman.h>

#include <new>
#include <utility>

#include "run/kernel_call.h"
#include "run/process_state.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

std::uint64_t end_of(std::uint64_t start, std::size_t length) {
  return start + align_down(length + (host_page_size - 1), host_page_lg2);
}

}  // namespace

FileMappings::Map::iterator FileMappings::first_behind(std::uint64_t start) {
  auto const at = mappings_.upper_bound(start);
  return at != mappings_.begin() && std::prev(at)->second.end > start ? std::prev(at) : at;
}

FileMappings::Map::const_iterator FileMappings::holding(std::uint64_t address) const {
  auto const after = mappings_.upper_bound(address);
  return after != mappings_.begin() && std::prev(after)->second.end > address ? std::prev(after) : mappings_.end();
}

FileMappings::Mapping FileMappings::part_of(Map::const_iterator at, std::uint64_t address) {
  Mapping part = at->second;
  part.mapped.offset += address - at->first;
  return part;
}

void FileMappings::split(std::uint64_t start, std::uint64_t end) {
  for (std::uint64_t const border : {start, end}) {
    auto const at = first_behind(border);
    if (at == mappings_.end() || at->first >= border) continue;
    mappings_.emplace(border, part_of(at, border));
    at->second.end = border;
  }
}

void FileMappings::cut(std::uint64_t start, std::uint64_t end, Map& gone) {
  split(start, end);
  for (auto at = first_behind(start); at != mappings_.end() && at->first < end;) gone.insert(mappings_.extract(at++));
}

bool FileMappings::overlaps(std::uint64_t start, std::uint64_t length) const {
  Lock const lock(lock_);
  auto const after = mappings_.lower_bound(start + length);
  return after != mappings_.begin() && std::prev(after)->second.end > start;
}

bool FileMappings::add(std::uint64_t start, std::size_t length, Mapped mapped) try {
  Map gone;
  Lock const lock(lock_);
  cut(start, end_of(start, length), gone);
  mappings_.insert_or_assign(start, Mapping{end_of(start, length), mapped});
  any_ = true;
  return true;
} catch (std::bad_alloc const&) {
  [[maybe_unused]] auto const* const for_ever = new (std::nothrow) std::shared_ptr<void const>(std::move(mapped.kept));
  return false;
}

FileMappings::Map FileMappings::take(std::uint64_t start, std::size_t length) try {
  Map gone;
  Lock const lock(lock_);
  cut(start, end_of(start, length), gone);
  return gone;
} catch (std::bad_alloc const&) {
  return {};  // it stays known as it was
}

FileMappings::Map FileMappings::copy(std::uint64_t address) const try {
  Lock const lock(lock_);
  Map copied;
  if (auto const at = holding(address); at != mappings_.end()) copied.emplace(address, part_of(at, address));
  return copied;
} catch (std::bad_alloc const&) {
  return {};
}

void FileMappings::put_back(Map taken) {
  Lock const lock(lock_);
  mappings_.merge(taken);
}

void FileMappings::move(Map taken, std::uint64_t start, std::uint64_t to, std::size_t new_length) {
  auto const first = taken.begin();
  if (first == taken.end() || first->first != start) return forget(to, new_length);
  add(to, new_length, std::move(first->second.mapped));
}

void FileMappings::protect(std::uint64_t start, std::size_t length, int protection, bool failed) {
  std::uint64_t const end = end_of(start, length);
  Lock const lock(lock_);
  try {
    split(start, end);
  } catch (std::bad_alloc const&) {
    failed = true;  // what acts goes on with the rights that it had
  }
  for (auto at = first_behind(start); at != mappings_.end() && at->first < end; ++at) {
    Mapped& mapped = at->second.mapped;
    if (!failed) mapped.protection = protection;
    if (mapped.acting != nullptr) kernel_call(SYS_mprotect, at->first, at->second.end - at->first, PROT_NONE);
  }
}

std::optional<FileMappings::Mapped> FileMappings::acting_at(std::uint64_t address, std::uint64_t length) const {
  Lock const lock(lock_);
  auto const at = holding(address);
  if (at == mappings_.end() || at->second.mapped.acting == nullptr || at->second.end - address < length) return {};
  return part_of(at, address).mapped;
}

void FileMappings::open(std::uint64_t address) {
  Lock const lock(lock_);
  auto const at = first_behind(address);
  if (at == mappings_.end() || at->first > address || at->second.mapped.acting == nullptr) return;
  at->second.mapped.acting = nullptr;
  at->second.mapped.opened = true;
  kernel_call(SYS_mprotect, at->first, at->second.end - at->first, at->second.mapped.protection);
}

int FileMappings::opened_rights(std::uint64_t address) const {
  Lock const lock(lock_);
  auto const at = holding(address);
  return at != mappings_.end() && at->second.mapped.opened ? at->second.mapped.protection : 0;
}

FileMappings& file_mappings() {
  std::atomic<FileMappings*>& known = process_state().file_mappings;
  FileMappings* mappings = known.load(std::memory_order_acquire);
  if (mappings != nullptr) return *mappings;
  auto* const made = new FileMappings;
  if (known.compare_exchange_strong(mappings, made)) return *made;
  delete made;
  return *mappings;
}

bool any_file_mappings() {
  ProcessState* const state = detail::current_state.load(std::memory_order_acquire);
  FileMappings* const mappings = state == nullptr ? nullptr : state->file_mappings.load(std::memory_order_acquire);
  return mappings != nullptr && mappings->any();
}

}  // namespace swiommu::run
