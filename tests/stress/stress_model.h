// What a DMA of a page of iovas may meet while somebody changes it: an independent model, which knows no tables.
#pragma once
#include <atomic>
#include <cstdint>
#include <optional>

namespace swiommu::stress {

// A slot is a page of iovas that one thread maps and unmaps. Its state counts up: 4k + 2 mapped, 4k + 3 being unmapped or
// replaced, 4k + 4 not mapped, 4k + 5 being mapped; replacing leads from 4k + 3 to 4k + 6. The page that is mapped in state 4k +
// 2 says so in its first word.
class Slot {
 public:
  // Of the thread that owns it.
  [[nodiscard]] std::uint64_t state() const { return state_.load(std::memory_order_relaxed); }
  void enter(std::uint64_t state) { state_.store(state, std::memory_order_seq_cst); }
  [[nodiscard]] static constexpr bool is_mapped(std::uint64_t state) { return state % 4 == 2; }
  // The mapped state after this one.
  [[nodiscard]] static constexpr std::uint64_t next_mapped(std::uint64_t state) {
    return state / 4 * 4 + (state % 4 < 2 ? 2 : 6);
  }

  // Of DMA: read before it and after it.
  [[nodiscard]] std::uint64_t now() const { return state_.load(std::memory_order_seq_cst); }

  // May DMA between the two have met the page of mapped state `met`, or a fault if that is nothing?
  [[nodiscard]] static constexpr bool allows(std::uint64_t before, std::uint64_t after, std::optional<std::uint64_t> met) {
    if (!met) return before != after || !is_mapped(before);
    // The oldest page that could still be seen, and the newest that could be seen already.
    std::uint64_t const oldest = before % 4 == 3 ? before - 1 : next_mapped(before - (is_mapped(before) ? 1 : 0));
    std::uint64_t const newest = after % 4 == 3 ? after + 3 : after % 4 == 1 ? after + 1 : after % 4 == 0 ? after - 2 : after;
    return is_mapped(*met) && oldest <= *met && *met <= newest;
  }

 private:
  alignas(64) std::atomic<std::uint64_t> state_ = 2;
};

static_assert(Slot::next_mapped(2) == 6 && Slot::next_mapped(3) == 6 && Slot::next_mapped(4) == 6 && Slot::next_mapped(5) == 6);
static_assert(Slot::next_mapped(1) == 2);
// Nothing happens.
static_assert(Slot::allows(6, 6, 6) && !Slot::allows(6, 6, 2) && !Slot::allows(6, 6, 10) && !Slot::allows(6, 6, std::nullopt));
static_assert(Slot::allows(8, 8, std::nullopt) && !Slot::allows(8, 8, 6) && !Slot::allows(8, 8, 10));
// It is being unmapped or replaced; it is being mapped.
static_assert(Slot::allows(6, 7, 6) && Slot::allows(7, 7, 10) && Slot::allows(7, 7, 6) && !Slot::allows(7, 7, 2));
static_assert(Slot::allows(9, 9, 10) && Slot::allows(9, 9, std::nullopt) && !Slot::allows(9, 9, 6));
// It was unmapped, mapped, or both meanwhile.
static_assert(Slot::allows(6, 8, 6) && Slot::allows(8, 10, 10) && Slot::allows(6, 10, 6) && !Slot::allows(8, 10, 6));

}  // namespace swiommu::stress
