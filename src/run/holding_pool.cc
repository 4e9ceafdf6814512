#include "run/holding_pool.h"

#include <sys/mman.h>

#include <mutex>

#include "run/process_state.h"

namespace swiommu::run {
namespace {
constexpr std::size_t chunk = 16384;
}

void* HoldingPool::allocate() {
  FreePieces& free = process_state().free_pieces;
  std::lock_guard const lock(free.lock);
  if (free.first == nullptr) {
    long const memory = kernel_call(SYS_mmap, nullptr, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory < 0 && memory > -4096) return nullptr;
    auto* const bytes = std::bit_cast<std::byte*>(memory);
    for (std::size_t at = 0; at < chunk; at += piece) free.first = new (bytes + at) FreePieces::Piece{free.first};
  }
  return std::exchange(free.first, free.first->next);
}

void HoldingPool::destroy(Holding* holding) {
  holding->~Holding();
  FreePieces& free = process_state().free_pieces;
  std::lock_guard const lock(free.lock);
  free.first = new (static_cast<void*>(holding)) FreePieces::Piece{free.first};
}

}  // namespace swiommu::run
