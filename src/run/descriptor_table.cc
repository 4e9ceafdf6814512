#include "run/descriptor_table.h"

#include "run/holding_pool.h"

namespace swiommu::run {

Reference::~Reference() {
  if (holding_ != nullptr && holding_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) HoldingPool::destroy(holding_);
}

Reference DescriptorTable::find(int descriptor) {
  if (!has(descriptor)) return {};
  std::lock_guard const lock(lock_);
  Holding* const found = entries_[descriptor].load(std::memory_order_relaxed);
  if (found == nullptr || found == internal_mark()) return {};
  found->references_.fetch_add(1, std::memory_order_relaxed);
  return Reference(found);
}

void DescriptorTable::set(int descriptor, Holding* entry) {
  entries_[descriptor].store(entry, std::memory_order_release);
  if (entry != nullptr && static_cast<unsigned>(descriptor) >= end()) end_ = static_cast<unsigned>(descriptor) + 1;
}

Reference DescriptorTable::put(int descriptor, Holding& holding) {
  if (static_cast<unsigned>(descriptor) >= limit) return {};
  std::lock_guard const lock(lock_);
  holding.references_.fetch_add(1, std::memory_order_relaxed);
  Holding* const before = entries_[descriptor].load(std::memory_order_relaxed);
  set(descriptor, &holding);
  return before == internal_mark() ? Reference() : Reference(before);
}

Reference DescriptorTable::take(int descriptor) {
  if (!has(descriptor)) return {};
  std::lock_guard const lock(lock_);
  Holding* const before = entries_[descriptor].load(std::memory_order_relaxed);
  if (before == nullptr || before == internal_mark()) return {};
  set(descriptor, nullptr);
  return Reference(before);
}

void DescriptorTable::put_internal(int descriptor) {
  if (static_cast<unsigned>(descriptor) >= limit) return;
  std::lock_guard const lock(lock_);
  set(descriptor, internal_mark());
}

void DescriptorTable::take_internal(int descriptor) {
  std::lock_guard const lock(lock_);
  if (internal(descriptor)) set(descriptor, nullptr);
}

Reference DescriptorTable::find_file(pid_t owner, std::uint64_t id) {
  std::lock_guard const lock(lock_);
  for (unsigned at = 0; at < end_; at++) {
    Holding* const found = entries_[at].load(std::memory_order_relaxed);
    if (!is(found, owner, id)) continue;
    found->references_.fetch_add(1, std::memory_order_relaxed);
    return Reference(found);
  }
  return {};
}

}  // namespace swiommu::run
