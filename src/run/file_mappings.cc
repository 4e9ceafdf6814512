#include "run/file_mappings.h"

#include <new>
#include <utility>

#include "run/process_state.h"
#include "swiommu/base/bits.h"
#include "swiommu/memory/mapping.h"

namespace swiommu::run {
namespace {

std::uint64_t end_of(std::uint64_t start, std::size_t length) {
  return start + align_down(length + (host_page_size - 1), host_page_lg2);
}

}  // namespace

void FileMappings::cut(std::uint64_t start, std::uint64_t end, Map& gone) {
  auto at = mappings_.upper_bound(start);
  if (at != mappings_.begin() && std::prev(at)->second.end > start) --at;
  while (at != mappings_.end() && at->first < end) {
    std::uint64_t const first = at->first, last = at->second.end;
    if (last > end) mappings_.emplace(end, Mapping{last, at->second.kept});
    if (first < start) {
      at->second.end = start;
      ++at;
    } else {
      gone.insert(mappings_.extract(at++));
    }
  }
}

bool FileMappings::overlaps(std::uint64_t start, std::uint64_t length) const {
  std::lock_guard const lock(lock_);
  auto const after = mappings_.lower_bound(start + length);
  return after != mappings_.begin() && std::prev(after)->second.end > start;
}

void FileMappings::add(std::uint64_t start, std::size_t length, std::shared_ptr<void const> kept) try {
  Map gone;
  std::lock_guard const lock(lock_);
  cut(start, end_of(start, length), gone);
  mappings_.insert_or_assign(start, Mapping{end_of(start, length), kept});
  any_ = true;
} catch (std::bad_alloc const&) {
  [[maybe_unused]] static auto const* const for_ever = new (std::nothrow) std::shared_ptr<void const>(std::move(kept));
}

void FileMappings::forget(std::uint64_t start, std::size_t length) try {
  Map gone;
  std::lock_guard const lock(lock_);
  cut(start, end_of(start, length), gone);
} catch (std::bad_alloc const&) {
  return;  // it stays known as it was
}

void FileMappings::move(std::uint64_t start, std::size_t length, std::uint64_t to, std::size_t new_length) {
  std::shared_ptr<void const> kept;
  {
    std::lock_guard const lock(lock_);
    auto at = mappings_.upper_bound(start);
    if (at != mappings_.begin() && std::prev(at)->second.end > start) kept = std::prev(at)->second.kept;
  }
  forget(start, length);
  if (kept) add(to, new_length, std::move(kept));
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
